"""Errors that a person can act on: what happened, where, why and what to do.

Every error that the product raises on purpose derives from :class:`PuntualError`; the command line shows its text
without a traceback and leaves with its ``exit_code``. Anything else in a step of a run is a defect of ours: one
sentence for the person, and the trace in a file for us.
"""

from __future__ import annotations


class PuntualError(Exception):
    """Something failed that an operator can mend. The text says what, where, why and what to do."""

    exit_code = 1


class UsageError(PuntualError):
    """The command or the configuration is wrong; nothing was started."""

    exit_code = 2


class HomeBusyError(PuntualError):
    """Another run works in the home; nothing was started."""


class LandingError(PuntualError):
    """What was handed over cannot be used: a file is missing, unreadable or too many of its rows were rejected."""


class WarehouseError(PuntualError):
    """The warehouse cannot be reached, is held by another process, or refused a statement."""


class ModelError(PuntualError):
    """A model cannot be trained, loaded or used on the rows it was given."""


class RuleError(PuntualError):
    """A contact rule is not valid, or a finished list breaks one."""


class PublishError(PuntualError):
    """A snapshot failed its exit checks or could not be put in place; the previous one still stands."""


class ExportError(PuntualError):
    """What was published cannot be exported as asked, or the file cannot be written; no half file is left."""


class KpiError(PuntualError):
    """The KPI catalogue or the semantic layer contradicts itself."""


class AuditError(PuntualError):
    """The log of decisions or the archive of their inputs is damaged, or cannot answer what was asked."""
