"""Every error Bellwether raises on purpose.

    BellwetherError
    ├── SettingsError          a setting is missing, unknown or cannot be used
    ├── SourceError
    │   ├── ArchiveError       an archive cannot be opened or read
    │   └── BrokerError        Kafka cannot be reached or refuses us
    ├── BundleError            a model folder is missing, damaged or not what it says
    ├── StoreError
    │   ├── DatabaseUnavailable   Postgres cannot be reached
    │   ├── SchemaMismatch        the tables are older or newer than the program
    │   └── PartitionLost         another consumer moved this partition's offset
    ├── AlertConflict          somebody else has changed the alert
    ├── DeliveryError          a notification was not accepted; may be tried again
    │   └── DeliveryRefused    the receiver said no for good; trying again is useless
    └── InputError             a file or an argument the user gave cannot be used

The message of each is one line that says what is wrong, where, and what to do;
the command line prints it as it is and exits with status 1.
"""


class BellwetherError(Exception):
    """Root of the tree."""


class SettingsError(BellwetherError):
    """A setting is missing, unknown or cannot be used."""


class SourceError(BellwetherError):
    """Documents cannot be read from where they should come from."""


class ArchiveError(SourceError):
    """An archive cannot be opened or read."""


class BrokerError(SourceError):
    """Kafka cannot be reached or refuses us."""


class BundleError(BellwetherError):
    """A model folder is missing, damaged or not what it says it is."""


class StoreError(BellwetherError):
    """The record cannot be read or written."""


class DatabaseUnavailable(StoreError):
    """Postgres cannot be reached."""


class SchemaMismatch(StoreError):
    """The tables are older or newer than this program."""


class PartitionLost(StoreError):
    """Another consumer moved a partition's offset; nothing of the batch was kept.

    Attributes:
        lost: the (topic, partition) pairs whose stored offset was not the one the batch began at.
    """

    def __init__(self, lost: list[tuple[str, int]]) -> None:
        self.lost = lost
        names = ", ".join(f"{topic}[{partition}]" for topic, partition in lost)
        super().__init__(f"partition {names} was taken over by another consumer; the batch was rolled back")


class AlertConflict(BellwetherError):
    """An alert is no longer in a state that allows what was asked: somebody, or the calm, was faster."""


class DeliveryError(BellwetherError):
    """A notification was not accepted; it may be tried again.

    Attributes:
        retry_after: seconds the receiver asked us to wait, if it said so.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class DeliveryRefused(DeliveryError):
    """The receiver refused a notification for good; trying again is useless."""


class InputError(BellwetherError):
    """A file or an argument the user gave cannot be used."""
