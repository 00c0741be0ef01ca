"""Starts ministack with one type of resource more: a style for login pages, which is noted and does nothing; and with
first passwords that a strict pool takes.

It runs with ministack's own Python, so that it imports nothing of ours.
"""

from typing import Any

from ministack.app import main  # type: ignore[import-not-found] # it lies elsewhere
from ministack.services import cognito  # type: ignore[import-not-found]
from ministack.services.cloudformation import provisioners  # type: ignore[import-not-found]

Made = tuple[str, dict[str, Any]]


def _create(_logical_id: str, properties: dict[str, Any], _stack: str) -> Made:
    return f"{properties['UserPoolId']}|{properties['ClientId']}", {}


def _update(physical_id: str, _before: dict[str, Any], _after: dict[str, Any], _stack: str) -> Made:
    return physical_id, {}


def _delete(_physical_id: str, _properties: dict[str, Any]) -> None:
    pass


_twelve_characters = cognito._generate_temp_password
cognito._generate_temp_password = lambda: f"{_twelve_characters()}Aa1!"
provisioners._RESOURCE_HANDLERS["AWS::Cognito::ManagedLoginBranding"] = {
    "create": _create,
    "update": _update,
    "delete": _delete,
}
main()
