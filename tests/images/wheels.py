"""Wheels for tests, written by hand, and the settings by which pip finds them without a network."""

import zipfile
from pathlib import Path

__all__ = ["pip_settings", "write_wheel"]


def write_wheel(folder: Path, name: str, version: str) -> Path:
    """Write a wheel of one module, whose VERSION it is, and of one script that prints it; return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    information = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f'VERSION = "{version}"\ndef main(): print("script", VERSION, flush=True)\n',
        f"{information}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{information}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{information}/entry_points.txt": f"[console_scripts]\n{name} = {name}:main\n",
    }
    record = "".join(f"{path},,\n" for path in (*files, f"{information}/RECORD"))
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in (files | {f"{information}/RECORD": record}).items():
            archive.writestr(member, text)
    return path


def pip_settings(folder: Path) -> dict[str, str]:
    """Return variables by which pip takes the wheels of a folder and nothing else."""
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder), "PIP_CONFIG_FILE": "/dev/null"}
