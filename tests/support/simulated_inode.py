"""A file on a simulated disk: its content as the running system sees it, as the disk holds it, and what a crash may leave of the two.

The rules are those of `support.simulated_disk`.
"""

from __future__ import annotations

from random import Random
from typing import TypeAlias

Buffer: TypeAlias = "bytes | bytearray | memoryview"
Pages: TypeAlias = "dict[int, bytes]"

PAGE = 4096
SECTOR = 512
ZERO_PAGE = bytes(PAGE)


class Inode:
    """A file's content, twice: as the running system sees it, and as the disk holds it."""

    __slots__ = ("content", "dirty", "durable", "durable_size", "modified_ms", "number", "pages", "shared", "size")

    def __init__(self, number: int, pages: Pages | None = None, size: int = 0) -> None:
        self.number = number
        self.pages: Pages = {} if pages is None else pages
        self.size = size
        self.durable = self.pages
        self.durable_size = size
        self.dirty: set[int] = set()
        self.shared = True  # `pages` is also `durable`, here or in an image: copy before a change
        self.modified_ms = 0
        self.content: int | None = None  # a number for what the disk holds, once somebody has asked for it

    def own_pages(self) -> Pages:
        if self.shared:
            self.pages = dict(self.pages)
            self.shared = False
        return self.pages

    def write(self, data: Buffer, position: int) -> None:
        pages, end, view = self.own_pages(), position + len(data), memoryview(data)
        for number in range(position // PAGE, -(-end // PAGE)):
            start = number * PAGE
            low, high = max(position, start), min(end, start + PAGE)
            piece = bytes(view[low - position : high - position])
            if high - low < PAGE:
                old = pages.get(number, ZERO_PAGE)
                piece = old[: low - start] + piece + old[high - start :]
            if piece == ZERO_PAGE:
                pages.pop(number, None)
            else:
                pages[number] = piece
            self.dirty.add(number)
        self.size = max(self.size, end)

    def read(self, size: int, position: int) -> bytes:
        end = min(position + size, self.size)
        if end <= position:
            return b""
        first, last = position // PAGE, -(-end // PAGE)
        pages = self.pages
        data = b"".join([pages.get(number, ZERO_PAGE) for number in range(first, last)])
        return data[position - first * PAGE : end - first * PAGE]

    def truncate(self, size: int) -> None:
        if size < self.size:
            pages = self.own_pages()
            for number in range(size // PAGE, -(-self.size // PAGE)):
                keep = max(0, size - number * PAGE)
                pages[number] = pages.get(number, ZERO_PAGE)[:keep] + bytes(PAGE - keep)
                self.dirty.add(number)
        self.size = size

    @property
    def clean(self) -> bool:
        return not self.dirty and self.size == self.durable_size

    def sync(self) -> None:
        self.content = None
        self.durable, self.durable_size = self.pages, self.size
        self.shared = True
        self.dirty = set()

    def sync_range(self, position: int, end: int) -> None:
        """What a write with RWF_DSYNC promises: these pages and a size that covers them, nothing else."""
        touched = range(position // PAGE, -(-end // PAGE))
        if self.dirty.issubset(touched) and self.size == max(end, self.durable_size):
            self.sync()
            return
        self.content = None
        self.durable = dict(self.durable)
        for number in touched:
            copy_page(self.pages, self.durable, number)
        self.dirty.difference_update(touched)
        self.durable_size = max(self.durable_size, end)

    def fail_to_sync(self) -> None:
        """Mark everything clean, write nothing: what Linux does after an error of write-back."""
        self.own_pages()
        self.dirty = set()

    def forget_clean(self) -> None:
        """Drop the cache: clean pages show again what the disk has."""
        pages = dict(self.durable)
        for number in self.dirty:
            copy_page(self.pages, pages, number)
        self.pages, self.shared = pages, False
        if not self.dirty:
            self.size = self.durable_size

    def crash_image(self, random: Random) -> Inode:
        """What a crash leaves of the file: an inode that is clean."""
        if self.clean:
            image = Inode(self.number, self.durable, self.durable_size)
            image.content = self.durable_content()
            return image
        pages = dict(self.durable)
        chance = random.random()
        for number in self.dirty:
            if random.random() < chance:
                new = self.pages.get(number, ZERO_PAGE)
                page = new if random.random() < 0.7 else torn(self.durable.get(number, ZERO_PAGE), new, random)
                pages[number] = page
                if page == ZERO_PAGE:
                    del pages[number]
        size = self.crash_size(random)
        last = size // PAGE
        for number in [number for number in pages if number >= last]:
            keep = max(0, size - number * PAGE)
            if keep == 0:
                del pages[number]
            elif keep < PAGE:
                pages[number] = pages[number][:keep] + bytes(PAGE - keep)
        return Inode(self.number, pages, size)

    def durable_content(self) -> int:
        """A number that two files with the same durable content share."""
        if self.content is None:
            self.content = hash((self.durable_size, frozenset(self.durable.items())))
        return self.content

    def crash_size(self, random: Random) -> int:
        low, high = sorted((self.size, self.durable_size))
        if low == high:
            return low
        draw = random.random()
        return self.size if draw < 0.5 else self.durable_size if draw < 0.75 else random.randint(low, high)


def copy_page(source: Pages, target: Pages, number: int) -> None:
    """A page of zeros is a missing one."""
    page = source.get(number)
    if page is None:
        target.pop(number, None)
    else:
        target[number] = page


def torn(old: bytes, new: bytes, random: Random) -> bytes:
    """A page of which some sectors reached the disk: mostly a beginning, sometimes any of them."""
    if random.random() < 0.7:
        cut = random.randrange(0, PAGE, SECTOR)
        return new[:cut] + old[cut:]
    mask = random.getrandbits(PAGE // SECTOR)
    return b"".join([(new if mask >> n & 1 else old)[n * SECTOR : (n + 1) * SECTOR] for n in range(PAGE // SECTOR)])
