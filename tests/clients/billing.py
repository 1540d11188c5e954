"""A billing system that may be killed at any point and started again: it credits each entry of the compensation feed once.

billing.py ENDPOINTS.json BOOK.json PAGE   runs until it is killed; finds the server's address anew whenever it cannot reach it.

Its book is one file, replaced as a whole: {"cursor", "batch": null or {"key", "entries"}, "credited": {entry: {"consumer", "inr"}}}.
Credits and the batch that is to be acknowledged enter the book together; a batch stays until the server has said that it knows it.
"""
import json
import os
import sys
import time
import urllib.error
import urllib.request
from decimal import Decimal

endpoints, book_path, page = sys.argv[1], sys.argv[2], int(sys.argv[3])


def save(book):
    with open(book_path + ".new", "w", encoding="utf-8") as file:
        json.dump(book, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(book_path + ".new", book_path)


def ask(path, body=None, key=None):
    """The answer, or None when the server is not there."""
    try:
        with open(endpoints, encoding="utf-8") as file:
            server = json.load(file)["http"]
        request = urllib.request.Request(f"http://{server}/api/v1/compensation/{path}")
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("content-type", "application/json")
            request.add_header("idempotency-key", key)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        if error.code == 503:
            return None
        sys.exit(f"{path}: {error.code} {error.read().decode()}")
    except (OSError, ValueError):
        return None


try:
    with open(book_path, encoding="utf-8") as file:
        book = json.load(file)
except FileNotFoundError:
    book = {"cursor": "0", "batch": None, "credited": {}}

while True:
    batch = book["batch"]
    if batch is not None:
        word = {"status": "credited", "entry_ids": batch["entries"], "reference": batch["key"]}
        if ask("acknowledgements", word, batch["key"]) is None:
            time.sleep(0.02)
            continue
        book["batch"] = None
        save(book)
    answer = ask(f"entries?status=due&limit={page}&cursor={book['cursor']}")
    if answer is None:
        time.sleep(0.02)
        continue
    new = [entry for entry in answer["entries"] if entry["entry_id"] not in book["credited"]]
    for entry in new:
        inr = str(Decimal(entry["amount_inr"]))
        book["credited"][entry["entry_id"]] = {"consumer": entry["consumer_id"], "inr": inr}
    book["cursor"] = answer["next_cursor"]
    if new:
        ids = [entry["entry_id"] for entry in new]
        book["batch"] = {"key": f"run-{answer['next_cursor']}-{ids[0]}", "entries": ids}
    if new or answer["entries"]:
        save(book)
    if not answer["entries"]:
        time.sleep(0.05)
