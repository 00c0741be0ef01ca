"""A watch for which waiting takes no time."""

from tollbook.sources.reading import Watch


class Unhurried(Watch):
    """Attributes:
    waited: seconds, in order.
    bytes, records: all that it was told of.
    """

    def __init__(self) -> None:
        super().__init__(self._hear)
        self.waited: list[float] = []
        self.bytes = self.records = 0

    def _hear(self, bytes_: int, records: int) -> None:
        self.bytes += bytes_
        self.records += records

    def wait(self, seconds: float) -> None:
        """Goes on at once."""
        self.go_on()
        self.waited.append(seconds)
