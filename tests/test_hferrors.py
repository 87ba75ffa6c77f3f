"""Every exception of the libraries below has a meaning among our errors."""

from __future__ import annotations

import httpx2
import msgspec
import pytest
from huggingface_hub import errors as hf

from envhub import errors
from envhub.errors import EnvHubError
from envhub.hubs.hfhttp import FOREIGN, Place, meanings

PLACE = Place("https://hub.example", "user/repo", "https://hub.example/user/repo", "v9")

# These come from parts of huggingface_hub that envhub does not call.
UNUSED = {
    "BucketBatchError", "CLIError", "CLIExtensionInstallError", "CacheNotFound",
    "CachedRepoTreeNotFoundError", "ConfirmationError", "CorruptedCacheException", "DDUFError",
    "DDUFCorruptedFileError", "DDUFExportError", "DDUFInvalidEntryNameError", "DeviceCodeError",
    "FileDuplicationError", "InferenceEndpointError", "InferenceEndpointTimeoutError",
    "NotASafetensorsRepoError", "OIDCError", "RevisionResolutionError", "SafetensorsParsingError",
    "SandboxCommandError", "SandboxError", "StrictDataclassClassValidationError",
    "StrictDataclassDefinitionError", "StrictDataclassError",
    "StrictDataclassFieldValidationError", "XetDownloadError",
}  # fmt: skip


def exceptions_of(module: object) -> list[type[Exception]]:
    kinds = (getattr(module, name) for name in dir(module))
    return [k for k in kinds if isinstance(k, type) and issubclass(k, Exception)]


class TestMeanings:
    @pytest.mark.parametrize(
        "kind",
        [
            *(k for k in exceptions_of(hf) if k.__name__ not in UNUSED),
            *(k for k in exceptions_of(httpx2) if k is not httpx2.HTTPError),  # in hf already
            *exceptions_of(msgspec),
        ],
        ids=lambda kind: f"{kind.__module__}.{kind.__name__}",
    )
    def test_every_foreign_exception_has_a_meaning(self, kind: type[Exception]) -> None:
        """A new class of huggingface_hub, httpx2 or msgspec fails here until it has one."""
        assert issubclass(kind, FOREIGN)
        error = kind.__new__(kind)
        if isinstance(error, hf.HfHubHTTPError):
            error.response = httpx2.Response(418, request=httpx2.Request("GET", PLACE.hub))
        with pytest.raises(EnvHubError) as caught, meanings(PLACE):
            raise error
        assert "user/repo" in caught.value.what
        assert type(caught.value) is not EnvHubError

    def test_unused_ones_exist(self) -> None:
        """The list of what is left out is not stale."""
        assert {k.__name__ for k in exceptions_of(hf)} >= UNUSED

    @pytest.mark.parametrize(
        ("kind", "meaning"),
        [
            (hf.GatedRepoError, errors.GatedRepoError),
            (hf.RepositoryNotFoundError, errors.RepoNotFoundError),
            (hf.RevisionNotFoundError, errors.RevisionNotFoundError),
            (hf.RemoteEntryNotFoundError, errors.EntryNotFoundError),
            (hf.DisabledRepoError, errors.HubError),
            (hf.OfflineModeIsEnabled, errors.OfflineError),
            (httpx2.ConnectTimeout, errors.HubUnreachableError),
            (httpx2.RemoteProtocolError, errors.HubUnreachableError),
            (httpx2.TooManyRedirects, errors.HubError),
        ],
    )
    def test_which(self, kind: type[Exception], meaning: type[EnvHubError]) -> None:
        """The most telling of our classes."""
        with pytest.raises(EnvHubError) as caught, meanings(PLACE):
            raise kind.__new__(kind)
        assert meaning is type(caught.value)

    def test_errors_of_the_disk_pass(self) -> None:
        """A full disk is not the hub's fault; and our own errors are not wrapped again."""
        for error in (OSError(28, "No space left on device"), errors.RefError("x")):
            with pytest.raises(type(error)) as caught, meanings(PLACE):
                raise error
            assert caught.value is error
