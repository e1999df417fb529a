"""The version of the installed package."""

from importlib import metadata


def installed_version() -> str:
    """Return it as installers know it, or a stand-in where the package runs from its source folder."""
    try:
        return metadata.version("fastnn-cpu")
    except metadata.PackageNotFoundError:
        return "0+unknown"
