"""What a command finds around it and must not trip over: a proxy for the web, a home folder that cannot be written.

`make env` copies this file into the environment, where it gives caches a place for every Python that starts there: of
Snakemake, the first thing is a cache. So it imports what takes no time.
"""

import os
from collections.abc import MutableMapping

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def prepare_surroundings(environment: MutableMapping[str, str] = os.environ) -> None:
    """Keep requests to this machine from proxies, and let caches lie where they can be written."""
    never_through_a_proxy(environment)
    give_caches_a_place(environment)


def never_through_a_proxy(environment: MutableMapping[str, str]) -> None:
    """Let what an environment says of proxies (`http_proxy`) not hold for this machine itself.

    Libraries read `no_proxy`, some of them `NO_PROXY`; names that a user has set there stay.
    """
    given = [name.strip() for key in ("no_proxy", "NO_PROXY") for name in environment.get(key, "").split(",")]
    names = ",".join(dict.fromkeys(filter(None, [*given, *_LOOPBACK])))
    environment["no_proxy"] = environment["NO_PROXY"] = names


def give_caches_a_place(environment: MutableMapping[str, str] = os.environ) -> None:
    """Where the home folder cannot be written, as batch users' and containers', let libraries' caches lie elsewhere.

    They keep nothing there that is not made again, so that a folder of the user's own for temporary files will do.
    """
    home = environment.get("HOME") or os.path.expanduser("~")
    if _can_be_written(environment.get("XDG_CACHE_HOME") or os.path.join(home, ".cache")):
        return
    import tempfile

    place = os.path.join(tempfile.gettempdir(), f"image-search-caches-{os.getuid()}")
    try:
        os.makedirs(place, mode=0o700, exist_ok=True)
        if os.path.islink(place) or os.stat(place).st_uid != os.getuid():  # another user was here first
            place = tempfile.mkdtemp(prefix="image-search-caches-")
    except OSError:
        return  # whatever needs a cache says so itself
    environment["XDG_CACHE_HOME"] = place
    # Of libraries that do not ask for XDG_CACHE_HOME, but for the home folder.
    folders = {
        "HF_HOME": "huggingface",
        "MPLCONFIGDIR": "matplotlib",
        "TORCH_HOME": "torch",
        "TRITON_CACHE_DIR": "triton",
    }
    for name, folder in folders.items():
        environment.setdefault(name, os.path.join(place, folder))


def _can_be_written(folder: str) -> bool:
    """Whether files can be made in a folder, or the folder itself, which is not left behind.

    Asking alone does not tell root, who may do it all but not everywhere.
    """
    missing = []
    place = folder
    while place and not os.path.isdir(place):
        missing.append(place)
        place = os.path.dirname(place)
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError:
        return False
    can_be_written = os.access(folder, os.W_OK | os.X_OK)
    for made in missing:
        try:
            os.rmdir(made)
        except OSError:
            break  # somebody has put something there meanwhile
    return can_be_written
