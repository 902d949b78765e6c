"""What the ``chaos`` command loads when it starts, as one of its plugins: it puts the gate in its place.

A plugin has to be a command, see https://click.palletsprojects.com and click-plugins. This one is the command ``run``
that is there already, so that nothing else about ``chaos`` changes.
"""

from chaostoolkit.commands.run import run

from flametest.chaos.gatekeeper import install

__all__ = ["run"]

install()
