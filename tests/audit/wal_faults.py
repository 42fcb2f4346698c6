"""Faults under SQLite, at its own seam to the system: syncs of write-ahead logs are counted, and fail when told to.

SQLite opens every file through a table of functions. While `WalFaults` is in place, files opened as write-ahead logs
get a table of ours in which `xWrite` and `xSync` ask first.
"""

import _sqlite3
import ctypes
from types import TracebackType
from typing import Any, Self

SQLITE_OPEN_WAL = 0x80000
SQLITE_IOERR_FSYNC = 1034

_METHODS = 19
_X_WRITE, _X_SYNC = 3, 5
"""Places in struct sqlite3_io_methods, which begins with a number."""

Pointer = ctypes.c_void_p
Open = ctypes.CFUNCTYPE(ctypes.c_int, Pointer, Pointer, Pointer, ctypes.c_int, Pointer)
Write = ctypes.CFUNCTYPE(ctypes.c_int, Pointer, Pointer, ctypes.c_int, ctypes.c_int64)
Sync = ctypes.CFUNCTYPE(ctypes.c_int, Pointer, ctypes.c_int)


class Vfs(ctypes.Structure):
    """The beginning of struct sqlite3_vfs."""

    _fields_ = (
        ("version", ctypes.c_int),
        ("file_size", ctypes.c_int),
        ("longest_path", ctypes.c_int),
        ("next", Pointer),
        ("name", Pointer),
        ("data", Pointer),
        ("open", Pointer),
    )


class WalFaults:
    """`refusal`: what writes are refused with (0: nothing), `refusal_of_new`: those to logs opened from now on.

    `broken`: syncs fail; `syncs`: how many syncs there were.
    """

    def __init__(self) -> None:
        self.refusal = 0
        self.refusal_of_new = 0
        self.broken = False
        self.syncs = 0
        self._kept: list[Any] = []

    def __enter__(self) -> Self:
        library = ctypes.CDLL(_sqlite3.__file__)
        library.sqlite3_vfs_find.restype = ctypes.c_void_p
        self._vfs = Vfs.from_address(library.sqlite3_vfs_find(None))
        self._open = self._vfs.open
        self._keep(Open(self._opened))
        self._vfs.open = ctypes.cast(self._kept[0], Pointer)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._vfs.open = self._open

    def _opened(self, vfs: int, name: int, file: int, flags: int, out: int) -> int:
        result: int = Open(self._open)(vfs, name, file, flags, out)
        if result == 0 and flags & SQLITE_OPEN_WAL:
            methods = Pointer.from_address(file)
            methods.value = self._table(methods.value or 0)
        return result

    def _table(self, address: int) -> int:
        plain = (Pointer * _METHODS).from_address(address)
        ours = (Pointer * _METHODS)(*plain)
        write, sync = Write(plain[_X_WRITE]), Sync(plain[_X_SYNC])
        own_refusal = self.refusal_of_new

        def faulty_write(file: int, content: int, size: int, at: int) -> int:
            return self.refusal or own_refusal or write(file, content, size, at)

        def faulty_sync(file: int, flags: int) -> int:
            self.syncs += 1
            return SQLITE_IOERR_FSYNC if self.broken else sync(file, flags)

        ours[_X_WRITE] = ctypes.cast(self._keep(Write(faulty_write)), Pointer)
        ours[_X_SYNC] = ctypes.cast(self._keep(Sync(faulty_sync)), Pointer)
        self._keep(ours)
        return ctypes.addressof(ours)

    def _keep(self, thing: Any) -> Any:
        self._kept.append(thing)
        return thing
