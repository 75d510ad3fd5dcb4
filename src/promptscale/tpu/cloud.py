"""Creates, lists and deletes slices: queued resources of Cloud TPU, through Google's client."""

import contextlib
import dataclasses
import enum
import re
from collections.abc import Iterator, Mapping
from typing import Any

import requests
from google.api_core import exceptions
from google.api_core.retry import Retry
from google.auth import exceptions as auth_exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import tpu_v2

from promptscale.errors import TpuError
from promptscale.tpu.remote_job import sha256

_TRANSIENT = (
    exceptions.ServerError,
    exceptions.TooManyRequests,
    exceptions.RetryError,
    requests.ConnectionError,
    requests.Timeout,
)
# `list` and `delete` are safe to repeat. The pool repeats `create`, after it has listed the slices,
# because a call whose answer was lost may have created one.
_RETRY = Retry(
    predicate=lambda error: isinstance(error, _TRANSIENT), initial=0.2, maximum=5.0, timeout=20.0
)
_State = tpu_v2.QueuedResourceState.State
Labels = Mapping[str, str]


class Unavailable(TpuError):
    """The service refuses temporarily (quota, outage); the same call may succeed later."""


class Phase(enum.Enum):
    """The phase of a slice's life, from the state of its queued resource."""

    PENDING = "pending"
    ACTIVE = "active"
    LOST = "lost"  # preempted or failed; its queued resource has to be deleted
    DELETING = "deleting"


_LOST = (_State.FAILED, _State.SUSPENDING, _State.SUSPENDED)
_PHASES = {
    _State.ACTIVE: Phase.ACTIVE,
    _State.DELETING: Phase.DELETING,
    **dict.fromkeys(_LOST, Phase.LOST),
}


@dataclasses.dataclass(frozen=True)
class SliceType:
    """A type of slice that jobs ask for."""

    accelerator: str
    runtime: str
    hosts: int
    chips: int
    tier: str  # `spot`, `on-demand` or the name of a reservation
    zones: tuple[str, ...]  # where slices are requested, in turn

    @property
    def key(self) -> str:
        """The label of slices that can run each other's jobs."""
        return sha256(repr((self.accelerator, self.runtime, self.tier)).encode())[:12]


@dataclasses.dataclass
class ListedSlice:
    """A queued resource as the service lists it."""

    name: str
    zone: str
    accelerator: str
    labels: Labels
    phase: Phase = Phase.PENDING
    state: str = "CREATING"
    message: str = ""


class Cloud:
    """The queued resources of a Google Cloud project.

    Methods raise Unavailable if the same call may succeed later, and another TpuError if not.
    """

    def __init__(self, project: str, endpoint: str | None = None, patience: float = 30.0) -> None:
        """Uses the application-default credentials, but none for an emulator at `http://`.

        `patience` is the time in seconds after which a request to list or delete gives up.

        Raises:
          TpuError: there are no credentials.
        """
        self._project = project
        self._patience: dict[str, Any] = {
            "retry": _RETRY.with_timeout(min(patience, 20.0)),
            "timeout": patience,
        }
        local = endpoint is not None and endpoint.startswith("http://")
        try:
            self._client = tpu_v2.TpuClient(
                credentials=AnonymousCredentials() if local else None,
                transport="rest",
                client_options={"api_endpoint": endpoint} if endpoint else None,
            )
        except auth_exceptions.DefaultCredentialsError as error:
            raise TpuError(
                "There are no Google Cloud credentials on this machine; create them with "
                "`gcloud auth application-default login`."
            ) from error

    def list(self, zone: str) -> list[ListedSlice]:
        """Lists all queued resources of the project in a zone."""
        request = tpu_v2.ListQueuedResourcesRequest(parent=self._parent(zone))
        with _errors(f"list the slices in {zone}"):
            resources = self._client.list_queued_resources(request, **self._patience)
            return [_listed_slice(zone, resource) for resource in resources]

    def create(
        self, name: str, zone: str, slice_type: SliceType, labels: Labels, metadata: Labels
    ) -> None:
        """Requests a slice; a request for an existing name is ignored."""
        parent, tier = self._parent(zone), slice_type.tier
        node = {
            "accelerator_type": slice_type.accelerator,
            "runtime_version": slice_type.runtime,
            "labels": labels,
            "metadata": metadata,
            "network_config": {"enable_external_ips": True},
            "service_account": {"scope": ["https://www.googleapis.com/auth/cloud-platform"]},
        }
        spec = {"parent": parent, "node_id": name, "node": node}
        resource: dict[str, Any] = {"tpu": {"node_spec": [spec]}}
        if tier == "spot":
            resource["spot"] = {}
        elif tier != "on-demand":
            resource |= {"guaranteed": {}, "reservation_name": f"{parent}/reservations/{tier}"}
        request = tpu_v2.CreateQueuedResourceRequest(
            parent=parent, queued_resource_id=name, queued_resource=resource
        )
        what = f"create the slice {name} in {zone}"
        with _errors(what), contextlib.suppress(exceptions.Conflict):  # it exists
            self._client.create_queued_resource(request, retry=None, timeout=60.0)

    def delete(self, name: str, zone: str) -> None:
        """Requests the deletion of a slice and its nodes; a missing slice is ignored."""
        path = f"{self._parent(zone)}/queuedResources/{name}"
        request = tpu_v2.DeleteQueuedResourceRequest(name=path, force=True)
        what = f"delete the slice {name} in {zone}"
        with _errors(what), contextlib.suppress(exceptions.NotFound):
            self._client.delete_queued_resource(request=request, **self._patience)

    def _parent(self, zone: str) -> str:
        return f"projects/{self._project}/locations/{zone}"


def _listed_slice(zone: str, resource: tpu_v2.QueuedResource) -> ListedSlice:
    specs, state = resource.tpu.node_spec, _State(resource.state.state)
    node = specs[0].node if specs else tpu_v2.Node()
    return ListedSlice(
        name=resource.name.rpartition("/")[2],
        zone=zone,
        accelerator=node.accelerator_type,
        phase=_PHASES.get(state, Phase.PENDING),
        state=state.name,
        message=resource.state.failed_data.error.message,
        labels=dict(node.labels),
    )


@contextlib.contextmanager
def _errors(what: str) -> Iterator[None]:
    """Raises Unavailable or TpuError for exceptions of Google's client; `what` was attempted."""
    try:
        yield
    except _TRANSIENT as error:
        raise Unavailable(f"Cloud TPU could not {what}, which may pass: {_gist(error)}") from error
    except (exceptions.GoogleAPIError, auth_exceptions.GoogleAuthError) as error:
        raise TpuError(f"Cloud TPU refused to {what}: {_gist(error)}") from error


def _gist(error: Exception) -> str:
    """The first line of an error's message, without the URL of the request."""
    message = re.sub(r"^[A-Z]+ https?://\S+: ", "", str(getattr(error, "message", "") or error))
    return message.splitlines()[0].rstrip(".") + "." if message else f"{type(error).__name__}."
