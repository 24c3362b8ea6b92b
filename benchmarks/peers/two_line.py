import sys, requests  # noqa: E401, I001 - as people write it in a hurry

requests.post(
    sys.argv[1] + "/track/lead",
    json={"clickId": "c", "eventName": "a", "customerExternalId": "b"},
    headers={"Authorization": "Bearer benchmark-token"},
).raise_for_status()
