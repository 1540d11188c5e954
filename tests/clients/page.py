"""Looks at pages in Debian's chromium through the DevTools protocol (over its pipe: no port, no package), in real time.

page.py PLAN.json   prints one JSON document a view, with what the page shows and what it did to show it.

PLAN: {"chromium": program, "profile": empty folder, "views": [{"name", "url", "width", "height", "scheme" ("light" or "dark"),
"until": expression that is true when the page is ready, "rest_seconds": how long it is watched after that,
"facts": {name: expression}, "screenshot": file or null}]}
"""
import base64
import fcntl
import json
import os
import select
import subprocess
import sys
import time

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
    "--no-default-browser-check", "--remote-debugging-pipe",
]
PATIENCE_SECONDS = 60

# Movement of what is already shown (CLS); without any input of a person all of it counts.
WATCH = """
window.jumps = [];
new PerformanceObserver((list) => { for (const shift of list.getEntries()) jumps.push({
  at: Math.round(shift.startTime), value: shift.value,
  what: shift.sources.map((source) => source.node && (source.node.id || source.node.className || source.node.nodeName)).slice(0, 4),
}); }).observe({ type: 'layout-shift', buffered: true });
"""


class Browser:
    def __init__(self, chromium, profile):
        theirs_in, self.out = os.pipe()
        self.inn, theirs_out = os.pipe()
        # High numbers first, so that neither overwrites the other.
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 20) for fd in (theirs_in, theirs_out)]

        def place():
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)

        self.process = subprocess.Popen(
            [chromium, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            preexec_fn=place, pass_fds=(3, 4), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for fd in (theirs_in, theirs_out, *high):
            os.close(fd)
        self.number, self.rest, self.events = 0, b"", []

    def read(self, seconds):
        """The next message, None when none comes in time."""
        end = time.monotonic() + seconds
        while b"\0" not in self.rest:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.inn], [], [], left)[0]:
                return None
            more = os.read(self.inn, 1 << 20)
            if not more:
                sys.exit("chromium ended")
            self.rest += more
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, session=None, **params):
        self.number += 1
        request = {"id": self.number, "method": method, "params": params}
        if session:
            request["sessionId"] = session
        data = json.dumps(request).encode() + b"\0"
        while data:
            data = data[os.write(self.out, data):]
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            message = self.read(end - time.monotonic())
            if message is None:
                sys.exit(f"no answer to {method}")
            if message.get("id") == self.number:
                if "error" in message:
                    sys.exit(f"{method}: {message['error']}")
                return message["result"]
            if "method" in message:
                self.events.append(message)

    def watch(self, seconds):
        """Takes events for so long."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            message = self.read(left)
            if message and "method" in message:
                self.events.append(message)

    def end(self):
        self.process.terminate()
        self.process.wait(20)


def value(browser, session, expression):
    result = browser.call("Runtime.evaluate", session, expression=expression, returnByValue=True, awaitPromise=True)
    if "exceptionDetails" in result:
        return {"exception": result["exceptionDetails"].get("exception", {}).get("description", "?")}
    return result["result"].get("value")


def complaints(events):
    """What the console and the network have to say."""
    found, hosts = [], set()
    urls = {}
    for event in events:
        method, params = event["method"], event["params"]
        if method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            found.append("exception: " + details.get("exception", {}).get("description", details["text"]))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            found.append(f"console {params['type']}: " + " ".join(str(arg.get("value", arg.get("description"))) for arg in params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            found.append(f"log {params['entry']['level']}: {params['entry']['text']} {params['entry'].get('url', '')}")
        elif method == "Network.requestWillBeSent":
            url = params["request"]["url"]
            urls[params["requestId"]] = url
            if not url.startswith("data:"):
                hosts.add(url.split("/")[2])
        elif method == "Network.responseReceived" and params["response"]["status"] >= 400:
            found.append(f"status {params['response']['status']} of {params['response']['url']}")
        elif method == "Network.loadingFailed" and not params.get("canceled"):
            found.append(f"{params['errorText']} at {urls.get(params['requestId'])}")
    return found, sorted(hosts)


def look(browser, view):
    target = browser.call("Target.createTarget", url="about:blank")["targetId"]
    session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    browser.events.clear()
    for domain in ("Page", "Runtime", "Log", "Network"):
        browser.call(f"{domain}.enable", session)
    browser.call("Page.addScriptToEvaluateOnNewDocument", session, source=WATCH)
    narrow = view["width"] < 600
    browser.call("Emulation.setDeviceMetricsOverride", session, width=view["width"], height=view["height"],
                 deviceScaleFactor=2 if narrow else 1, mobile=narrow)
    browser.call("Emulation.setEmulatedMedia", session, features=[{"name": "prefers-color-scheme", "value": view["scheme"]}])
    browser.call("Page.navigate", session, url=view["url"])
    end = time.monotonic() + PATIENCE_SECONDS
    while not (ready := value(browser, session, view["until"]) is True) and time.monotonic() < end:
        browser.watch(0.1)
    began = value(browser, session, "performance.now()")
    browser.watch(view["rest_seconds"])
    found, hosts = complaints([event for event in browser.events if event.get("sessionId") == session])
    facts = {name: value(browser, session, expression) for name, expression in view["facts"].items()}
    jumps = [jump for jump in value(browser, session, "jumps") if jump["at"] > began]
    if view.get("screenshot"):
        picture = browser.call("Page.captureScreenshot", session, captureBeyondViewport=view.get("whole", False))
        with open(view["screenshot"], "wb") as file:
            file.write(base64.b64decode(picture["data"]))
    browser.call("Target.closeTarget", targetId=target)
    return {"name": view["name"], "ready": ready, "complaints": found, "hosts": hosts, "facts": facts, "jumps": jumps}


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        plan = json.load(file)
    browser = Browser(plan["chromium"], plan["profile"])
    try:
        for view in plan["views"]:
            print(json.dumps(look(browser, view)), flush=True)
    finally:
        browser.end()


main()
