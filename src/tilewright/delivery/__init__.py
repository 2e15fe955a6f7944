"""Making the server match the journals: plan, send, check, retry."""

from tilewright.delivery.remote import Remote, Target, target
from tilewright.delivery.run import Options, Outcome, RunDelivery
from tilewright.delivery.worker import Status, Worker

__all__ = ["Options", "Outcome", "Remote", "RunDelivery", "Status", "Target", "Worker", "target"]
