"""The plugin as every pytest of the environment has it: cheap, inert, and plain about what went wrong."""

import subprocess
import sys

import pytest

from flametest.pytest_plugin.plugin import file_name

ERRORS = """
    import pytest
    from flametest.faults.errors import HealError
    from flametest.model.errors import FlametestError
    from flametest.pytest_plugin import InconclusiveError

    @pytest.mark.flametest
    def test_nothing_can_be_said():
        raise InconclusiveError("inconclusive: no evidence", "see the report")

    @pytest.mark.flametest
    def test_not_healed():
        raise HealError("a Service is gone", "put it back")

    @pytest.mark.flametest
    def test_refused():
        raise FlametestError("this may not be hit", "name another")

    @pytest.mark.flametest
    def test_weak():
        assert 2 < 1

    def test_of_another_kind():
        raise FlametestError("an error that this test is not about")

    def test_good():
        pass
"""


def test_loading_the_plugin_imports_only_itself() -> None:
    program = (
        "import sys, pytest; before = set(sys.modules); import flametest.pytest_plugin.plugin\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    ours = {name for name in done.stdout.split() if name.partition(".")[0] == "flametest"}
    assert ours == {"flametest", "flametest.pytest_plugin"} | {
        f"flametest.pytest_plugin.{name}" for name in ("faults", "outcomes", "plugin", "settings")
    }
    assert all(name in sys.stdlib_module_names for name in set(done.stdout.split()) - ours)


def test_a_project_that_does_not_use_the_plugin_has_nothing_of_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import sys
        def test_nothing_is_imported():
            assert not any(name.startswith(("flametest.run", "flametest.kube", "numpy")) for name in sys.modules)
    """)
    pytester.path.joinpath("experiment.json").write_text("{}")
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(passed=1)
    assert not (pytester.path / "state").exists()
    assert not (pytester.path / "reports").exists()
    assert "flametest" not in result.stdout.str().replace("flametest-", "")


@pytest.mark.parametrize(
    ("tests", "code", "outcomes"),
    [
        ("good", 0, {"passed": 1}),
        ("good or nothing", 3, {"passed": 1, "errors": 1}),
        ("refused or nothing", 2, {"errors": 2}),
        ("weak or nothing or refused", 1, {"failed": 1, "errors": 2}),
        ("weak or not_healed", 4, {"failed": 1, "errors": 1}),
        ("another", 1, {"failed": 1}),
        ("another or not_healed", 1, {"failed": 1, "errors": 1}),
    ],
)
def test_the_exit_status_says_what_flametest_run_would(
    pytester: pytest.Pytester, tests: str, code: int, outcomes: dict[str, int]
) -> None:
    pytester.makepyfile(ERRORS)
    result = pytester.runpytest_inprocess("-k", tests)
    result.assert_outcomes(**outcomes, deselected=6 - sum(outcomes.values()))
    assert result.ret == code


def test_an_error_comes_with_its_remedy(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(ERRORS)
    result = pytester.runpytest_inprocess("-k", "nothing", "-v")
    result.stdout.fnmatch_lines(
        ["*test_nothing_can_be_said INCONCLUSIVE*", "*inconclusive: no evidence", "remedy: see the report"]
    )


def test_workers_tell_the_controller_what_went_wrong(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(ERRORS)
    result = pytester.runpytest_subprocess("-n", "1", "-k", "nothing or good")
    result.assert_outcomes(passed=1, errors=1)
    assert result.ret == 3


def test_a_project_without_manifests_is_told_so_and_exits_with_2(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(system): pass")
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["error: there is no folder manifests/ in *", "remedy: name your manifests by *"])
    assert result.ret == 2


def test_what_uses_a_system_can_be_left_out(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(system): pass\ndef test_other(): pass")
    pytester.runpytest_inprocess("-m", "not flametest", "--strict-markers").assert_outcomes(passed=1, deselected=1)


def test_a_project_may_have_a_fixture_of_the_same_name(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import pytest
        @pytest.fixture
        def system(): return "my own"
        def test_it(system): assert system == "my own"
    """)
    pytester.runpytest_inprocess("-m", "not flametest").assert_outcomes(passed=1)


def test_workers_may_not_share_a_cluster_by_accident(web: pytest.Pytester) -> None:
    web.makepyfile("def test_it(system): pass")
    result = web.runpytest_subprocess("-n", "1", "--flametest-cluster", "context:staging")
    result.stdout.fnmatch_lines(["*would all use one system on context:staging*", "remedy: add --flametest-shared*"])
    assert result.ret == 2


@pytest.mark.parametrize(
    ("nodeid", "name"),
    [
        ("tests/test_shop.py::test_buy", "test_shop-test_buy"),
        ("test_shop.py::TestBuy::test_it[a/b c-ä]", "test_shop-TestBuy-test_it-a-b-c-ä"),
        ("test_shop.py::test_it[../..]", "test_shop-test_it"),
    ],
)
def test_reports_are_named_by_their_tests(nodeid: str, name: str) -> None:
    assert file_name(nodeid) == name


def test_long_names_are_cut_and_stay_apart() -> None:
    names = {file_name(f"test_a.py::test_{'x' * 300}[{number}]") for number in range(10)}
    assert len(names) == 10
    assert all(len(name) < 100 for name in names)
