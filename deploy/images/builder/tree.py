# SPDX-License-Identifier: MIT
"""The files of an image's layer, and their archive: the same files give the same bytes."""
import io
import os
import stat
import tarfile


class Tree:
    def __init__(self, timestamp=0):
        self._timestamp = timestamp
        self._entries = {}  # path without the first slash -> (TarInfo, contents or None)

    def __contains__(self, path):
        return path.strip("/") in self._entries

    def _add(self, path, kind, mode, owner, contents=None, target=""):
        path = path.strip("/")
        parent = os.path.dirname(path)
        if parent and parent not in self._entries:
            self.add_folder(parent)
        info = tarfile.TarInfo(path)
        info.type = kind
        info.mode = mode
        info.uid = info.gid = owner
        info.mtime = self._timestamp
        info.linkname = target
        info.size = len(contents) if contents is not None else 0
        self._entries[path] = (info, contents)

    def add_folder(self, path, mode=0o755, owner=0):
        self._add(path, tarfile.DIRTYPE, mode, owner)

    def add_text(self, path, text, mode=0o644):
        self.add_bytes(path, text.encode(), mode)

    def add_bytes(self, path, contents, mode=0o644):
        self._add(path, tarfile.REGTYPE, mode, 0, contents)

    def add_link(self, path, target):
        self._add(path, tarfile.SYMTYPE, 0o777, 0, target=target)

    def add_copy(self, path, source):
        """A file or link of this machine; of its mode only whether it may be executed."""
        if os.path.islink(source):
            self.add_link(path, os.readlink(source))
            return
        with open(source, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            self.add_bytes(path, file.read(), 0o755 if mode & stat.S_IXUSR else 0o644)

    def add_copies(self, path, folder):
        """All plain files of a folder, links followed, but what a Python that has imported them from
        there may have left; none is to be executed."""
        for where, folders, names in os.walk(folder):
            folders[:] = sorted(name for name in folders if name != "__pycache__")
            for name in sorted(name for name in names if not name.endswith(".pyc")):
                source = os.path.join(where, name)
                below = os.path.relpath(source, folder)
                with open(source, "rb") as file:
                    self.add_bytes(os.path.join(path, below), file.read())

    def paths(self):
        """Of all but folders, with the first slash."""
        return ["/" + path for path, (info, _) in sorted(self._entries.items())
                if not info.isdir()]

    def contents(self, path):
        """Bytes of a plain file; None: a link."""
        return self._entries[path.strip("/")][1]

    def to_tar(self):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
            for _, (info, contents) in sorted(self._entries.items()):
                archive.addfile(info, io.BytesIO(contents) if contents is not None else None)
        return buffer.getvalue()
