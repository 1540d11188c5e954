"""Verifies signed webhooks with PyPI's standardwebhooks, the reference implementation.

verify_webhooks.py SECRET FILE   FILE: one JSON object a line with "headers" and "body"; prints the webhook-id of each that verifies.
Each must also fail to verify when one byte of its body, its id or its time is another.
"""
import json
import sys

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

webhook = Webhook(sys.argv[1])
for line in open(sys.argv[2], encoding="utf-8"):
    request = json.loads(line)
    headers, body = request["headers"], request["body"]
    event = webhook.verify(body, headers)
    assert event["specversion"] == "1.0" and event["id"] == headers["webhook-id"], event
    tampered = [
        (body.replace("ACTIVE", "INACTIVE", 1) + " ", headers),
        (body, {**headers, "webhook-id": headers["webhook-id"] + "0"}),
        (body, {**headers, "webhook-timestamp": str(int(headers["webhook-timestamp"]) + 1)}),
    ]
    for other_body, other_headers in tampered:
        try:
            webhook.verify(other_body, other_headers)
        except WebhookVerificationError:
            continue
        raise AssertionError(f"verifies although it was tampered with: {other_headers}")
    print(headers["webhook-id"])
