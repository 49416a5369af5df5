"""Writes, reads and deletes at a node, and asks Prometheus every expression of a dashboard meanwhile.

Started by scripts/check-observability.sh: check.py NODE_URL PROMETHEUS_URL DASHBOARD_FILE
"""

import http.client
import json
import math
import random
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

WRITERS = 8
WARM_UP_S = 20
PATIENCE_S = 60


def load(address, stop, seed):
    """One client: mostly strong puts of 1 KB, reads of what is there and of what is not, deletes."""
    choose = random.Random(seed)
    connection = http.client.HTTPConnection(address, timeout=30)
    while not stop.is_set():
        path = f"/api/v1/tables/users/items/user-{choose.randrange(20_000)}?consistency=strong"
        method = choose.choices(["PUT", "GET", "DELETE"], [6, 3, 1])[0]
        body = json.dumps({"text": "x" * 1000}) if method == "PUT" else None
        connection.request(method, path, body)
        answer = connection.getresponse()
        answer.read()
        if answer.status not in (200, 404):
            sys.exit(f"{method} {path} was answered with {answer.status}")


def ask(prometheus, expression):
    """The answer's series: pairs of labels and value."""
    query = urllib.parse.urlencode({"query": expression})
    with urllib.request.urlopen(f"{prometheus}/api/v1/query?{query}", timeout=10) as answer:
        result = json.load(answer)
    return [(series["metric"], float(series["value"][1])) for series in result["data"]["result"]]


def answers(prometheus, expression):
    """The answer's values that are numbers; NaN is what an empty rate divided by itself gives."""
    return [value for _, value in ask(prometheus, expression) if math.isfinite(value)]


def wait_until_scraped(prometheus):
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            if any(value == 1 for _, value in ask(prometheus, "up")):
                return
        except (OSError, urllib.error.URLError):
            pass
        time.sleep(0.5)
    sys.exit(f"{prometheus} did not scrape the node within {PATIENCE_S} s")


def main(node, prometheus, dashboard):
    with open(dashboard, encoding="utf-8") as file:
        panels = json.load(file)["panels"]
    create = urllib.request.Request(f"{node}/api/v1/tables", data=b'{"name":"users"}', method="POST")
    urllib.request.urlopen(create, timeout=10).read()
    stop = threading.Event()
    address = urllib.parse.urlsplit(node).netloc
    clients = [threading.Thread(target=load, args=(address, stop, seed)) for seed in range(WRITERS)]
    for client in clients:
        client.start()
    try:
        wait_until_scraped(prometheus)
        time.sleep(WARM_UP_S)
        asked = [(panel["title"], target["expr"]) for panel in panels for target in panel.get("targets", [])]
        found = [(title, expression, answers(prometheus, expression)) for title, expression in asked]
    finally:
        stop.set()
        for client in clients:
            client.join()
    print("series  greatest value  expression")
    for title, expression, values in found:
        print(f"{len(values):6}  {max(values, default=math.nan):14.6g}  {title}: {expression}")
    empty = [title for title, _, values in found if not values]
    if empty:
        sys.exit(f"{len(empty)} of {len(found)} expressions have no answer: {', '.join(empty)}")
    print(f"all {len(found)} expressions have answers")


main(*sys.argv[1:])
