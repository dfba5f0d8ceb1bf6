"""Where things are: in the product's own checkout, and in an institution's home."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PROJECT_ROOT = Path(__file__).resolve().parent.parent
DBT_PROJECT = PROJECT_ROOT / "dbt_project"
SEEDS = DBT_PROJECT / "seeds"
POLICIES = PROJECT_ROOT / "data" / "policies"
GEOGRAPHY = PROJECT_ROOT / "data" / "geography"


@dataclass(frozen=True)
class Home:
    """An institution's folder. Nothing is ever written outside it."""

    root: Path

    @property
    def settings_file(self) -> Path:
        """What the institution decides."""
        return self.root / "puntual.yaml"

    @property
    def warehouse(self) -> Path:
        """The embedded warehouse."""
        return self.root / "warehouse"

    @property
    def policies(self) -> Path:
        """The institution's own rules: they may only tighten the shipped ones."""
        return self.root / "policies"

    @property
    def experiments(self) -> Path:
        """The institution's experiments, one file each."""
        return self.root / "experiments"

    @property
    def quarantine(self) -> Path:
        """Rows that were not let in, by run."""
        return self.root / "quarantine"

    @property
    def validation_reports(self) -> Path:
        """What the door found, by run."""
        return self.root / "reports" / "validation"

    @property
    def reconciliation_reports(self) -> Path:
        """Where our figures and the core's differ, by business date."""
        return self.root / "reports" / "reconciliation"

    @property
    def models(self) -> Path:
        """Trained models and their registry."""
        return self.root / "artifacts" / "models"

    @property
    def published(self) -> Path:
        """Every snapshot that is kept."""
        return self.root / "published"

    @property
    def current(self) -> Path:
        """The snapshot that readers see: a link, flipped in one step."""
        return self.published / "current"

    @property
    def audit(self) -> Path:
        """The log of decisions, chained by hashes, and the archive of what they were made from."""
        return self.root / "audit"

    @property
    def truth(self) -> Path:
        """Only in a demo: what the simulated world knows and no institution does. Never an input."""
        return self.root / "truth"

    @property
    def dagster(self) -> Path:
        """The Dagster instance: runs and their log."""
        return self.root / "dagster"

    @property
    def dbt(self) -> Path:
        """The compiled dbt project and its log."""
        return self.root / ".dbt"

    @property
    def operations(self) -> Path:
        """What people gave back: imported work lists, every version of what they say. It cannot be made again."""
        return self.root / "operations.db"

    @property
    def lock_file(self) -> Path:
        """Held while a run works."""
        return self.root / ".lock"
