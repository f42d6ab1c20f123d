"""Files of a git repository that has no work tree, such as a bare clone, read with ``git ls-tree`` and ``cat-file``."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

__all__ = ["GitFile", "GitFolder", "find_git_folder", "parse_repositories"]


class GitFile(NamedTuple):
    """Path of a file in a repository, and the SHA of its content."""

    path: str
    sha: str


class GitFolder:
    """Files of one commit; a context manager, since reading keeps a ``git`` process open.

    Args:
        folder: the git directory: a bare clone, or the ``.git`` of another.
        commit: SHA of the commit.
    """

    def __init__(self, folder: Path, commit: str) -> None:
        self._git = ["git", f"--git-dir={folder}"]
        check = subprocess.run([*self._git, "cat-file", "-e", f"{commit}^{{commit}}"], capture_output=True, text=True)
        if check.returncode:
            reason = check.stderr.strip() or "it is missing"
            sys.exit(f"{folder}: commit {commit}: {reason}; try git --git-dir={folder} fetch origin {commit}")
        self._commit = commit
        self._process = subprocess.Popen(
            [*self._git, "cat-file", "--batch"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def __enter__(self) -> GitFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.communicate()

    def list_files(self) -> list[GitFile]:
        """Return all files of the commit, in git's order."""
        command = [*self._git, "ls-tree", "-r", "-z", self._commit]
        listing = subprocess.run(command, capture_output=True, check=True).stdout
        files = []
        for entry in filter(None, listing.decode("utf-8", "replace").split("\0")):
            description, path = entry.split("\t", 1)
            _, kind, sha = description.split()
            if kind == "blob":
                files.append(GitFile(path, sha))
        return files

    def read(self, sha: str) -> bytes | None:
        """Return the content with this SHA; None if the folder lacks it."""
        return self._read(sha)

    def read_path(self, path: str) -> bytes | None:
        """Return the content of a file; None if there is none of that path."""
        return self._read(f"{self._commit}:{path}")

    def _read(self, name: str) -> bytes | None:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(f"{name}\n".encode())
        stdin.flush()
        header = stdout.readline().split()
        if len(header) != 3 or header[1] != b"blob":
            return None
        content = stdout.read(int(header[2]))
        stdout.read(1)  # a line feed
        return content


def parse_repositories(texts: Sequence[str]) -> dict[str, Path]:
    """Return "owner/name" → path of texts "OWNER/NAME=PATH"."""
    paths = {}
    for text in texts:
        name, equals, path = text.partition("=")
        if not equals or name.count("/") != 1:
            sys.exit(f"--repository {text}: write OWNER/NAME=PATH")
        paths[name] = Path(path)
    return paths


def find_git_folder(repository: str, root: Path | None, given: Mapping[str, Path]) -> Path | None:
    """Return the git directory of "owner/name": the given one, or ``root/owner+name``; None if neither exists.

    It may be that folder itself, its ``.git``, its ``repo`` or ``repo/.git``.
    """
    if repository not in given and root is None:
        return None
    folder = given.get(repository) or (root or Path()) / repository.replace("/", "+")
    for candidate in (folder, folder / ".git", folder / "repo", folder / "repo" / ".git"):
        if (candidate / "HEAD").is_file() and (candidate / "objects").is_dir():
            return candidate
    return None
