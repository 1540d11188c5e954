"""Publishes the lines of a file with paho-mqtt at QoS 1 and waits for every PUBACK.

publish.py PORT VERSION(3 or 5) TOPIC FILE [SHOWN]   prints one line per PUBACK: its reason code (MQTT 5) or 0.

SHOWN is JSON of what it shows of itself: ca, certificate and key (files: TLS is spoken), user and password. A connection that is
refused is one line, `refused` and why.
"""
import json
import ssl
import sys
import threading

import paho.mqtt.client as mqtt

port, version, topic, path = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
shown = json.loads(sys.argv[5]) if len(sys.argv) > 5 else {}
protocol = mqtt.MQTTv5 if version == "5" else mqtt.MQTTv311
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=f"paho-{version}", protocol=protocol)
codes = {}
connected = threading.Event()
answer = []


def on_publish(client, userdata, mid, reason_code, properties):
    codes[mid] = reason_code.value if hasattr(reason_code, "value") else 0


def on_connect(client, userdata, flags, reason_code, properties):
    answer.append(reason_code)
    connected.set()


client.on_publish = on_publish
client.on_connect = on_connect
if "ca" in shown:
    client.tls_set(shown["ca"], shown.get("certificate"), shown.get("key"))
if "user" in shown:
    client.username_pw_set(shown["user"], shown["password"])
try:
    client.connect("127.0.0.1", port)
except (ssl.SSLError, OSError) as error:
    print(f"refused {error}")
    sys.exit()
client.loop_start()
# In TLS 1.3 a certificate is refused after the client thinks that the handshake is over: then nothing ever answers.
if not connected.wait(5) or answer[0].is_failure:
    client.loop_stop()
    print(f"refused {answer[0] if answer else 'without a word'}")
    sys.exit()
sent = [client.publish(topic, line.rstrip("\n"), qos=1) for line in open(path, encoding="utf-8")]
for info in sent:
    info.wait_for_publish(30)
    assert info.is_published(), "no PUBACK within 30 s"
client.disconnect()
client.loop_stop()
for info in sent:
    print(codes[info.mid])
