"""Cloud TPU's queued resources, through Google's client: create, list and delete slices."""

import contextlib
import dataclasses
import enum
import re
from collections.abc import Iterator, Mapping

import requests
from google.api_core import exceptions
from google.api_core.retry import Retry
from google.auth import exceptions as auth_exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import tpu_v2

from promptscale.errors import TpuError

_TRANSIENT = (
    exceptions.ServerError,
    exceptions.TooManyRequests,
    exceptions.RetryError,
    requests.ConnectionError,
    requests.Timeout,
)
# Reading and deleting may be repeated without thought; creating is repeated by the pool, which
# looks first whether the lost answer was a success.
_RETRY = Retry(
    predicate=lambda error: isinstance(error, _TRANSIENT), initial=0.2, maximum=5.0, timeout=20.0
)
_State = tpu_v2.QueuedResourceState.State


class Busy(TpuError):
    """The service cannot do it now: a quota, an outage. The same call may succeed later."""


class Phase(enum.Enum):
    """What a slice's state means to us."""

    COMING = "coming"
    ACTIVE = "active"
    LOST = "lost"  # preempted, failed or being taken away: its resource has to be deleted
    GOING = "going"  # being deleted


_PHASES = {
    _State.ACTIVE: Phase.ACTIVE,
    _State.DELETING: Phase.GOING,
    _State.FAILED: Phase.LOST,
    _State.SUSPENDING: Phase.LOST,
    _State.SUSPENDED: Phase.LOST,
}


@dataclasses.dataclass(frozen=True)
class Shape:
    """What kind of slice a job runs on; slices of one shape and environment are alike.

    `tier`: `spot`, `on-demand` or the name of a reservation. `zones` are tried in turn.
    """

    accelerator: str
    runtime: str
    hosts: int
    chips: int
    tier: str
    zones: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Listed:
    """A queued resource as the service lists it."""

    name: str
    zone: str
    accelerator: str
    phase: Phase
    state: str
    message: str
    labels: Mapping[str, str]


class Cloud:
    """The queued resources of one project.

    Methods raise Busy where the same call may succeed later, and TpuError where it will not.
    """

    def __init__(self, project: str, endpoint: str | None = None) -> None:
        """Uses the application-default credentials; none at a plain-HTTP `endpoint` (an emulator).

        Raises:
          TpuError: there are no credentials.
        """
        self._project = project
        local = endpoint is not None and endpoint.startswith("http://")
        try:
            self._client = tpu_v2.TpuClient(
                credentials=AnonymousCredentials() if local else None,
                transport="rest",
                client_options={"api_endpoint": endpoint} if endpoint else None,
            )
        except auth_exceptions.DefaultCredentialsError as error:
            raise TpuError(
                "There are no Google Cloud credentials here; "
                "`gcloud auth application-default login` makes them."
            ) from error

    def list(self, zone: str) -> list[Listed]:
        """All queued resources of the project in a zone, whoever made them."""
        with _errors(f"list the slices in {zone}"):
            found = self._client.list_queued_resources(
                parent=self._parent(zone), retry=_RETRY, timeout=30.0
            )
            return [_listed(zone, one) for one in found]

    def create(
        self,
        name: str,
        zone: str,
        shape: Shape,
        labels: Mapping[str, str],
        metadata: Mapping[str, str],
    ) -> None:
        """Asks for a slice; one of this name that exists already is as good."""
        node = tpu_v2.Node(
            accelerator_type=shape.accelerator,
            runtime_version=shape.runtime,
            labels=dict(labels),
            metadata=dict(metadata),
            network_config=tpu_v2.NetworkConfig(enable_external_ips=True),
            service_account=tpu_v2.ServiceAccount(
                scope=["https://www.googleapis.com/auth/cloud-platform"]
            ),
        )
        parent = self._parent(zone)
        spec = tpu_v2.QueuedResource.Tpu.NodeSpec(parent=parent, node_id=name, node=node)
        resource = tpu_v2.QueuedResource(tpu=tpu_v2.QueuedResource.Tpu(node_spec=[spec]))
        if shape.tier == "spot":
            resource.spot = tpu_v2.QueuedResource.Spot()
        elif shape.tier != "on-demand":
            resource.guaranteed = tpu_v2.QueuedResource.Guaranteed()
            resource.reservation_name = f"{parent}/reservations/{shape.tier}"
        with (
            _errors(f"create the slice {name} in {zone}"),
            contextlib.suppress(exceptions.AlreadyExists, exceptions.Conflict),
        ):
            self._client.create_queued_resource(
                parent=parent,
                queued_resource_id=name,
                queued_resource=resource,
                retry=None,
                timeout=60.0,
            )

    def delete(self, name: str, zone: str) -> None:
        """Asks for a slice to be deleted with its nodes; one that is gone already is as good."""
        request = tpu_v2.DeleteQueuedResourceRequest(
            name=f"{self._parent(zone)}/queuedResources/{name}", force=True
        )
        with (
            _errors(f"delete the slice {name} in {zone}"),
            contextlib.suppress(exceptions.NotFound),
        ):
            self._client.delete_queued_resource(request=request, retry=_RETRY, timeout=30.0)

    def _parent(self, zone: str) -> str:
        return f"projects/{self._project}/locations/{zone}"


def _listed(zone: str, resource: tpu_v2.QueuedResource) -> Listed:
    nodes = [spec.node for spec in resource.tpu.node_spec]
    state = _State(resource.state.state)
    return Listed(
        name=resource.name.rpartition("/")[2],
        zone=zone,
        accelerator=nodes[0].accelerator_type if nodes else "",
        phase=_PHASES.get(state, Phase.COMING),
        state=state.name,
        message=resource.state.failed_data.error.message,
        labels=dict(nodes[0].labels) if nodes else {},
    )


@contextlib.contextmanager
def _errors(what: str) -> Iterator[None]:
    """Turns Google's exceptions into ours, with what was attempted."""
    try:
        yield
    except _TRANSIENT as error:
        raise Busy(f"Cloud TPU could not {what} now: {_gist(error)}") from error
    except (exceptions.GoogleAPIError, auth_exceptions.GoogleAuthError) as error:
        raise TpuError(f"Cloud TPU would not {what}: {_gist(error)}") from error


def _gist(error: Exception) -> str:
    """An error's first line, without the URL of the request."""
    message = re.sub(r"^[A-Z]+ https?://\S+: ", "", str(getattr(error, "message", "") or error))
    return message.splitlines()[0].rstrip(".") + "." if message else f"{type(error).__name__}."
