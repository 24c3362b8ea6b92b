"""Code written for 1.0.0: the package page's calls work, and the upgrade guide covers the rest."""

from __future__ import annotations

import importlib
import re
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from faultserver import FaultServer, json_reply
from sdk_events import TOKEN

import cms_python
from cms_python import CMSClient

GUIDE = (Path(__file__).parents[2] / "docs" / "upgrading.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```py\n# 2\.0\.0\n(.*?)```", GUIDE, re.DOTALL)

NAMES = [
    *("CMSClient", "TrackingApi", "ApiResponse", "ApiClient", "Configuration", "OpenApiException", "ApiTypeError"),
    *("ApiValueError", "ApiKeyError", "ApiAttributeError", "ApiException", "ErrorResponse", "LeadPayload"),
    *("SalePayload", "TrackResponse"),
]
"""``__all__`` of 1.0.0."""

EXCEPTIONS = [
    *("BadRequestException", "NotFoundException", "UnauthorizedException", "ForbiddenException"),
    *("ServiceException", "ConflictException", "UnprocessableEntityException"),
]
MODULES = ["api", "api.tracking_api", "api_client", "api_response", "configuration", "exceptions", "models", "rest"]


def page_of_1_0_0(host: str) -> list[Any]:
    """Make the calls of the package page of 1.0.0 unchanged."""
    client = CMSClient(token="your_jwt_token", host=host)
    return [
        client.track_lead(
            click_id="id_123",
            event_name="signup_started",
            customer_external_id="user_42",
        ),
        client.track_lead(
            click_id="id_123",
            event_name="signup_started",
            customer_external_id="user_42",
            customer_name="Jane Doe",  # optional
            customer_email="jane@example.com",  # optional
        ),
        client.track_lead(
            click_id="id_123",
            event_name="lead_captured",
            customer_external_id="user_42",
            mode="deferred",
        ),
        client.track_lead(
            event_name="kyc_completed",
            customer_external_id="user_42",
        ),
        client.track_sale(
            click_id="id_123",
            event_name="purchase_completed",
            customer_external_id="user_42",
            invoice_id="inv_987",
            amount=4999,  # in cents
            currency="USD",  # 3-letter code
            customer_email="jane@example.com",  # optional
        ),
    ]


def test_the_calls_of_the_page_work(server: FaultServer) -> None:
    """Each call of the 1.0.0 page returns the documented success dict."""
    for response in page_of_1_0_0(server.url):
        assert set(response) == {"success", "message", "data"}
        assert response["success"] is True
    assert len(server.requests) == 5


def test_the_calls_of_the_page_fail_as_it_says(server: FaultServer) -> None:
    """Each call of the 1.0.0 page returns the documented error dict."""
    server.default = json_reply(422, {"success": False, "error": "Validation failed", "statusCode": 422})
    for response in page_of_1_0_0(server.url):
        assert (response["success"], response["error"], response["status_code"]) == (
            False,
            "Validation failed",
            422,
        )


@pytest.mark.parametrize("name", [*NAMES, *EXCEPTIONS])
def test_the_guide_names(name: str) -> None:
    """The guide names everything that 1.0.0 exported; only CMSClient is still there."""
    assert f"`{name}" in GUIDE
    assert hasattr(cms_python, name) is (name == "CMSClient")


@pytest.mark.parametrize("name", MODULES)
def test_the_guide_names_the_module(name: str) -> None:
    """The guide names every module of 1.0.0 that is gone."""
    assert f"`cms_python.{name}`" in GUIDE
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(f"cms_python.{name}")


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_what_to_write_instead_works(server: FaultServer, capsys: pytest.CaptureFixture[str], number: int) -> None:
    """Each 2.0.0 block of the guide runs unchanged, and its amounts arrive."""
    code = BLOCKS[number].replace("https://www.cutmeshort.com", server.url)
    with CMSClient(TOKEN, server.url) as client:
        names = {**vars(cms_python), "client": client, "datetime": datetime, "Decimal": Decimal}
        exec(code, {**names, "response": client.track_lead("before", "user_42")})
    assert all(str(request.json.get("amount", 4999)) == "4999" for request in server.requests)


def test_there_is_something_to_write_instead() -> None:
    """The guide has at least five 2.0.0 blocks."""
    assert len(BLOCKS) >= 5
