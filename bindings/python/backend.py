"""The build backend of pyproject.toml: scikit-build-core, with the World vocabulary at hand.

The vocabulary is embedded in the library, and its file is not in this repository.
"""

import pathlib
import subprocess

from scikit_build_core.build import *  # noqa: F403
from scikit_build_core.build import build_editable as _build_editable
from scikit_build_core.build import build_wheel as _build_wheel


def _fetch_vocabulary() -> None:
    # Without a network it warns and succeeds.
    root = pathlib.Path(__file__).parents[2]
    subprocess.run([root / "tools" / "fetch-vocabulary"], check=True)


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    _fetch_vocabulary()
    return _build_wheel(wheel_directory, config_settings, metadata_directory)


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    _fetch_vocabulary()
    return _build_editable(wheel_directory, config_settings, metadata_directory)
