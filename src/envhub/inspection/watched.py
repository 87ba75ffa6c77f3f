"""Which names of Python stand for which capability."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final


def _under(kind: str, names: str) -> Iterable[tuple[str, str]]:
    return ((name, kind) for name in names.split())


MODULES: Final[Mapping[str, str]] = dict(
    (
        *_under(
            "network",
            "socket ssl http.client http.server socketserver urllib.request urllib3 requests httpx"
            " httpx2 aiohttp websocket websockets ftplib smtplib poplib imaplib telnetlib xmlrpc"
            " paramiko fabric zmq grpc pycurl boto3 botocore google.cloud azure wandb mlflow"
            " comet_ml neptune roslibpy rospy rclpy cyclonedds unitree_sdk2py asyncio.streams"
            " nntplib webbrowser dns scapy flask fastapi uvicorn tornado",
        ),
        *_under("subprocess", "subprocess pty pexpect sh plumbum invoke multiprocessing.spawn"),
        *_under("native-code", "ctypes cffi _ctypes _cffi_backend llvmlite winreg msvcrt pycuda"),
        *_under("dynamic-code", "code codeop runpy zipimport marshal bytecode"),
        *_under("secrets", "keyring netrc getpass secretstorage browser_cookie3"),
    )
)
"""Modules whose use is a capability, with all that is in them."""

NAMES: Final[Mapping[str, str]] = dict(
    (
        *_under(
            "subprocess",
            "os.system os.popen os.execl os.execle os.execlp os.execlpe os.execv os.execve"
            " os.execvp os.execvpe os.spawnl os.spawnle os.spawnlp os.spawnlpe os.spawnv os.spawnve"
            " os.spawnvp os.spawnvpe os.posix_spawn os.posix_spawnp os.fork os.forkpty os.startfile"
            " os.kill os.killpg posix.system asyncio.create_subprocess_exec"
            " asyncio.create_subprocess_shell pip.main pip._internal.main",
        ),
        *_under(
            "network",
            "asyncio.open_connection asyncio.start_server asyncio.open_unix_connection"
            " torch.hub.load torch.hub.load_state_dict_from_url torch.hub.download_url_to_file"
            " gdown.download tensorflow.keras.utils.get_file urllib.request.urlopen",
        ),
        *_under(
            "dynamic-code",
            "eval exec compile __import__ __builtins__ builtins.eval builtins.exec builtins.compile"
            " builtins.__import__ types.FunctionType types.CodeType sys.settrace sys.setprofile"
            " sys.meta_path sys.path_hooks importlib.reload importlib.import_module"
            " importlib.util.spec_from_loader importlib.util.spec_from_file_location"
            " importlib.machinery.SourceFileLoader",
        ),
        *_under(
            "pickle",
            "pickle.load pickle.loads pickle.Unpickler _pickle.load _pickle.loads"
            " _pickle.Unpickler dill.load dill.loads cloudpickle.load cloudpickle.loads joblib.load"
            " shelve.open pandas.read_pickle jsonpickle.decode",
        ),
        *_under("native-code", "numpy.ctypeslib.load_library numpy.f2py.compile"),
        *_under(
            "files",
            "pathlib.Path.home os.path.expanduser os.path.expandvars shutil.rmtree os.chown",
        ),
    )
)
"""Single names whose mention is a capability, called or not."""

DOWNLOADS: Final = frozenset(
    {"hf_hub_download", "snapshot_download", "from_pretrained", "load_dataset", "cached_download"}
)
"""Functions that take a `revision`."""

HUB_MODULES: Final = ("huggingface_hub", "transformers", "datasets", "diffusers", "lerobot")
