"""Where files of datasets may be whose URIs requests name: `--dataset-root`, as the services in C++ have it."""
import os

from backfire_requests import check


class Roots:
    """Folders that a path must lead into, with every symbolic link followed; None: it may lead anywhere."""

    def __init__(self, folders):
        self.folders = folders

    def check(self, path):
        """Refuses a path that leads out of them, links of the folders themselves followed as well; whether anything is there isn't told."""
        if self.folders is None:
            return
        real, written, is_told = os.path.realpath(path), os.path.abspath(path), False
        for given in self.folders:
            folder = os.path.realpath(given)
            if os.path.isdir(folder) and os.path.commonpath((folder, real)) == folder:
                return
            is_told = is_told or any(os.path.commonpath((one, written)) == one for one in (given, folder))
        # Of what is outside already as it is written nothing is told, not even where a link leads.
        leads = f" (which leads to {real})" if is_told else ""
        where = (f"is outside of the folders that datasets may be read from ({', '.join(self.folders)})" if self.folders else
                 "can't be read: this service was given no folder for datasets")
        check(None, False, "PERMISSION_DENIED",
              f"{path}{leads} {where}: put it there, or start the service with --dataset-root=DIRECTORY")


ROOTS = Roots(None)  # Of this process: who only imports a model reads data of his own. `serve` says otherwise.


def restrict(given, is_owners):
    """Has this process's models read datasets from these folders alone, each of which may be several, separated by colons.

    Without any, from anywhere if only the mesh's owner can ask, `is_owners`, who could read the files anyway; else from nowhere.
    ValueError: one of them is no directory.
    """
    folders = [os.path.abspath(folder) for several in given for folder in several.split(":") if folder]
    for folder in folders:
        if not os.path.isdir(folder):
            raise ValueError(f"{folder}: no such directory")
    ROOTS.folders = None if is_owners and not folders else folders


def check_dataset_path(path):
    """Refuses, by PERMISSION_DENIED, a file or folder that no request may have read. A model's `read` asks it of each file it opens, so
    that links in a folder count; what the URI itself names has been asked before."""
    ROOTS.check(os.fspath(path))


def check_dataset_uri(uri):
    """The same of what stands for a path in `SCHEME:PATH?PARAMETER=VALUE&...`: of what has a slash, or is there as a file."""
    path, _, parameters = uri.partition(":")[2].partition("?")
    values = [pair.partition("=")[2] for pair in parameters.split("&")]
    for text in [path, *values]:
        if "\0" not in text and (os.sep in text or (text and os.path.lexists(text))):
            check_dataset_path(text)
