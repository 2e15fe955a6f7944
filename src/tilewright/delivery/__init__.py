"""Making the server match the journals: plan, send, check, retry."""

from tilewright.delivery.deliverer import Deliverer, Where
from tilewright.delivery.remote import Remote
from tilewright.delivery.run import Outcome, RunDelivery
from tilewright.delivery.status import Status
from tilewright.delivery.target import Target, target
from tilewright.delivery.worker import State, Worker

__all__ = [
    "Deliverer",
    "Outcome",
    "Remote",
    "RunDelivery",
    "State",
    "Status",
    "Target",
    "Where",
    "Worker",
    "target",
]
