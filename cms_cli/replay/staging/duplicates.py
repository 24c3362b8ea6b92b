"""Rows of one file that say the same, and rows that contradict each other, found in flat memory.

Each row comes with a key (a sale's invoice) and with what has to be the same wherever that key stands (its amount,
currency, customer and click). When all rows have come by, :meth:`Repeats.findings` says, in the order of the file,
which rows repeat an earlier one, and which have a key that stands for different things: those contradict each
other, all of them, the first one included.

How: the rows go into a log, and the 64-bit hashes of their keys into partitions, both in one temporary file once
they outgrow a small buffer (nameless where the system allows that, and readable by nobody else). At the end each
partition is put into a set. Most files have no hash twice, and that is all. Where there are some, the log is read
again for the rows that have them. Those are compared by their keys and contents as they are or, where these are
long, by 128-bit BLAKE2b digests under a secret drawn for the occasion. So a hash never decides anything: equal keys
have equal ones, and unequal keys that share one are told apart.
"""

from __future__ import annotations

import heapq
import marshal
import os
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from hashlib import blake2b
from itertools import chain, repeat
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NamedTuple

from cms_cli.replay.tempfiles import room_for, temporary

_PARTITIONS = 64
BUFFERED = 1 << 12
"""How many rows are held in memory before they are written out.

Four times as many do not fit into the processor's cache, and take half as long again.
"""

# How many hashes, or rows, of a partition are looked through at a time.
_AT_A_TIME = 1 << 15
# Text up to this length is kept as it is, which is cheaper than a digest of it.
_LONG = 96
_HASHES_A_CHUNK = 1 << 10
# Where more hashes than this occur twice, all rows are compared: it takes no longer, and less memory.
_MOST_SUSPECTS = 1 << 15
_FINDINGS_A_CHUNK = 1 << 8

_Record = tuple[int, int, str, str]  # row, line, key, content
_Columns = tuple[Any, ...]  # lists of rows, lines and keys, and those that make up the contents


class Finding(NamedTuple):
    """A row that another one has something to do with.

    Attributes:
        row: Its number.
        line: The line it starts on.
        conflict: True where its key stands for different things; False where the row repeats an earlier one.
        other_row: The first row that it contradicts, or repeats.
        other_line: The line that one starts on.
    """

    row: int
    line: int
    conflict: bool
    other_row: int
    other_line: int


class Repeats:
    """Takes the rows of a file, and says which of them repeat or contradict others.

    A context manager: leaving it gives up the temporary file.
    """

    def __init__(self, folder: Path | None = None, *, buffered: int = BUFFERED) -> None:
        """Begin with no rows.

        Args:
            folder: Where the temporary file goes, should one be needed; None for the system's own place.
            buffered: How many rows are held in memory at most.
        """
        self._spill = _Spill(folder)
        self._limit = buffered
        self._held: list[_Columns] = []
        self._held_rows = 0
        self._log: array[int] = array("q")
        self._hashes = [array("q") for _ in range(_PARTITIONS)]
        self._written_hashes: list[array[int]] = [array("q") for _ in range(_PARTITIONS)]
        self._secret = os.urandom(16)

    def __enter__(self) -> Repeats:
        """Nothing is opened before it is needed."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give up the temporary file."""
        self._spill.close()

    def add_all(
        self, rows: Sequence[int], lines: Sequence[int], keys: Sequence[str], *contents: Sequence[str]
    ) -> None:
        """Take rows, in the order of the file; the arguments are columns of the same length.

        Args:
            rows: The number of each.
            lines: The line that each starts on.
            keys: What each is known by: a sale's invoice; for a lead, all that would be sent.
            contents: Columns whose texts together have to be the same in every row with this key; put together only
                where that is needed.

        Raises:
            MachineError: When the temporary file cannot be written.
        """
        if not rows:
            return
        if max(map(len, keys)) > _LONG:
            keys = [key if len(key) <= _LONG else self._digest(key) for key in keys]
        self._held.append((list(rows), list(lines), list(keys), *map(list, contents)))
        self._held_rows += len(rows)
        if self._held_rows >= self._limit:
            self._log.append(self._spill.write(self._held))
            self._note_hashes()
            self._held = []
            self._held_rows = 0

    def findings(self) -> Iterator[Finding]:
        """The rows that repeat or contradict others, in the order of the file. Called once, after the last row.

        Raises:
            MachineError: When the temporary file cannot be written.
        """
        self._note_hashes()
        twice = self._hashes_seen_twice()
        if twice is not None and not twice:
            return iter(())
        comparison = _Comparison(self._spill, self._limit)
        for place in self._log:
            comparison.add_those(self._records(self._spill.read(place)), twice)
        comparison.add_those(self._records(self._held), twice)
        return comparison.findings()

    def _records(self, held: list[_Columns]) -> Iterator[_Record]:
        for rows, lines, keys, *contents in held:
            texts = map("\n".join, zip(*contents)) if contents else repeat("")
            for row, line, key, text in zip(rows, lines, keys, texts):
                yield row, line, key, text if len(text) <= _LONG else self._digest(text)

    def _digest(self, text: str) -> str:
        digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16, key=self._secret)
        return "\0" + digest.hexdigest()  # No text is taken for it, since no text can know the secret.

    def _note_hashes(self) -> None:
        hashes = self._hashes
        for value in map(hash, chain.from_iterable(map(itemgetter(2), self._held))):
            hashes[value % _PARTITIONS].append(value)
        for number, chunk in enumerate(hashes):
            if len(chunk) >= _HASHES_A_CHUNK:
                self._written_hashes[number].append(self._spill.write(chunk.tobytes()))
                hashes[number] = array("q")

    def _hashes_seen_twice(self) -> set[int] | None:
        """The hashes that more than one row has, or None where they are too many to hold."""
        twice: set[int] = set()
        for number, last in enumerate(self._hashes):
            rows = len(last) + len(self._written_hashes[number]) * _HASHES_A_CHUNK
            # A partition of a very large file is looked through in parts, told apart by more of the hash.
            parts = rows // _AT_A_TIME + 1
            for part in range(parts):
                values = list(chain.from_iterable(self._chunks_of_hashes(number)))
                if parts > 1:
                    values = [value for value in values if value // _PARTITIONS % parts == part]
                seen: set[int] = set(values)
                if len(seen) == len(values):
                    continue
                seen.clear()
                for value in values:
                    (twice if value in seen else seen).add(value)
                if len(twice) > _MOST_SUSPECTS:
                    return None
        return twice

    def _chunks_of_hashes(self, number: int) -> Iterator[list[int]]:
        for place in self._written_hashes[number]:
            chunk: array[int] = array("q")
            chunk.frombytes(self._spill.read(place))
            yield chunk.tolist()
        yield self._hashes[number].tolist()


class _Comparison:
    """Compares rows by their keys and contents: dealt out to partitions, so that equal keys meet, one at a time."""

    def __init__(self, spill: _Spill, limit: int) -> None:
        self._spill = spill
        self._limit = limit
        self._held = 0
        self._recent: list[list[_Record]] = [[] for _ in range(_PARTITIONS)]
        self._written: list[array[int]] = [array("q") for _ in range(_PARTITIONS)]
        self._rows = [0] * _PARTITIONS

    def add_those(self, records: Iterable[_Record], hashes: set[int] | None) -> None:
        """Take the rows whose key has one of these hashes, or all of them."""
        for record in records:
            value = hash(record[2])
            if hashes is None or value in hashes:
                self._recent[value % _PARTITIONS].append(record)
                self._held += 1
        if self._held >= self._limit:
            for number, recent in enumerate(self._recent):
                if recent:
                    self._written[number].append(self._spill.write(recent))
                    self._rows[number] += len(recent)
            self._recent = [[] for _ in range(_PARTITIONS)]
            self._held = 0

    def findings(self) -> Iterator[Finding]:
        runs = []
        for number, recent in enumerate(self._recent):
            parts = (self._rows[number] + len(recent)) // _AT_A_TIME + 1
            for part in range(parts):
                runs.append(self._run_of(number, part, parts))
        return heapq.merge(*(self._spill.run(written, rest) for written, rest in runs if written or rest))

    def _records(self, number: int, part: int, parts: int) -> Iterator[_Record]:
        """The rows of one partition, or of one part of it, in the order of the file."""
        for place in self._written[number]:
            yield from self._in_part(self._spill.read(place), part, parts)
        yield from self._in_part(self._recent[number], part, parts)

    @staticmethod
    def _in_part(records: list[_Record], part: int, parts: int) -> list[_Record]:
        if parts == 1:
            return records
        return [record for record in records if hash(record[2]) // _PARTITIONS % parts == part]

    def _run_of(self, number: int, part: int, parts: int) -> tuple[array[int], list[tuple[Any, ...]]]:
        """The findings in one part, in order: the places of those written out, and those after them."""
        firsts: dict[str, _Record] = {}
        repeated: dict[str, _Record | None] = {}  # key -> the first row that contradicts the first one of all
        for record in self._records(number, part, parts):
            first = firsts.setdefault(record[2], record)
            if first is not record and repeated.get(record[2]) is None:
                repeated[record[2]] = record if record[3] != first[3] else None
        written: array[int] = array("q")
        rest: list[tuple[Any, ...]] = []
        for row, line, key, content in self._records(number, part, parts):
            if key not in repeated:
                continue
            first, odd = firsts[key], repeated[key]
            if odd is not None:
                other = odd if content == first[3] else first
                rest.append((row, line, True, other[0], other[1]))
            elif row != first[0]:
                rest.append((row, line, False, first[0], first[1]))
            if len(rest) == _FINDINGS_A_CHUNK:
                written.append(self._spill.write(rest))
                rest = []
        return written, rest


class _Spill:
    """Values in a temporary file, which is made when the first one comes."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._file: IO[bytes] | None = None
        self._end = 0
        self._at_end = True

    def write(self, value: Any) -> int:
        """Append a value; the answer is what :meth:`read` wants."""
        place = self._end
        data = marshal.dumps(value)
        with room_for("what is compared for duplicates"):
            if self._file is None:
                self._file = temporary(self._folder)
            if not self._at_end:
                self._file.seek(place)
                self._at_end = True
            self._file.write(len(data).to_bytes(8, "little") + data)
        self._end += 8 + len(data)
        return place

    def read(self, place: int) -> Any:
        """A value written before."""
        assert self._file is not None
        self._at_end = False
        with room_for("what is compared for duplicates"):
            self._file.seek(place)  # which writes what is still in memory
        length = int.from_bytes(self._file.read(8), "little")
        # What is read was written by this process, to a file that no other one can open.
        return marshal.loads(self._file.read(length))  # noqa: S302 - see above

    def run(self, written: array[int], rest: list[tuple[Any, ...]]) -> Iterator[Finding]:
        """Findings in order: those of the chunks written, then the rest."""
        for place in written:
            yield from map(Finding._make, self.read(place))
        yield from map(Finding._make, rest)

    def close(self) -> None:
        """Give the file up; it has no name, so that is its end."""
        if self._file is not None:
            with suppress(OSError):  # what is still to be written may not fit
                self._file.close()
            self._file = None
