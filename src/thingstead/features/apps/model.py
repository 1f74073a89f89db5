"""What an app is."""

from dataclasses import dataclass, field

from thingstead.kernel.ids import AppId


@dataclass(frozen=True, slots=True)
class AppSettings:
    """How an app treats its users."""

    needs_current_password: bool = False
    """A new password in the settings needs `currentPassword` beside it."""
    hides_accounts: bool = False
    """Registering an address that has an account looks like success; its owner gets a mail."""


@dataclass(frozen=True, slots=True)
class App:
    """What users belong to; `resources` are those that it reaches, none meaning all."""

    id: AppId
    name: str
    resources: frozenset[str]
    settings: AppSettings
    created_at_ms: int

    def reaches(self, resource: str) -> bool:
        """Return whether the app's users see that resource; a description they always do."""
        return not self.resources or resource in self.resources or resource == "description"


@dataclass(frozen=True, slots=True)
class AppChange:
    """What of an app to change; None leaves it as it is."""

    name: str | None = None
    resources: frozenset[str] | None = None
    settings: AppSettings | None = field(default=None)
