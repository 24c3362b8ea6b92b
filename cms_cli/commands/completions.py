"""What the shell offers at TAB, where it is more than the names of flags. Nothing here may fail or take long."""


def profiles(incomplete: str) -> list[str]:
    """Offer the profiles of the config file."""
    from cms_cli import configfile
    from cms_cli.errors import CommandError
    from cms_cli.settings import Flags, config_path

    try:
        known = configfile.read(config_path(Flags()).value).profiles
    except CommandError:
        return []
    return [name for name in (configfile.DEFAULT_PROFILE, *known) if name.startswith(incomplete)]


def currencies(incomplete: str) -> list[str]:
    """Offer the currencies of ISO 4217, in the case that was begun with; both are taken."""
    from cms_cli.replay.currencies import EXPONENTS

    codes = [code.lower() for code in EXPONENTS] if incomplete.islower() else EXPONENTS
    return sorted(code for code in codes if code.startswith(incomplete))


def keys(incomplete: str) -> list[str]:
    """Offer the keys of the config file."""
    from cms_cli.configfile import KEYS

    return [name for name in KEYS if name.startswith(incomplete)]
