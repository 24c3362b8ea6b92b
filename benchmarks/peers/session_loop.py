"""A bare loop over a CSV file with a requests session."""

import csv
import sys
from pathlib import Path

import requests

WIRE = {
    "click_id": "clickId",
    "event_name": "eventName",
    "customer_external_id": "customerExternalId",
    "invoice_id": "invoiceId",
    "amount": "amount",
    "currency": "currency",
}

with requests.Session() as session, Path(sys.argv[2]).open(newline="", encoding="utf-8") as file:
    session.headers["Authorization"] = "Bearer benchmark-token"
    for row in csv.DictReader(file):
        body = {**{WIRE[name]: value for name, value in row.items()}, "amount": int(row["amount"])}
        session.post(sys.argv[1] + "/track/sale", json=body).raise_for_status()
