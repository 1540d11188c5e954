"""Publishes the lines of a file with paho-mqtt at QoS 1 and waits for every PUBACK.

publish.py PORT VERSION(3 or 5) TOPIC FILE   prints one line per PUBACK: its reason code (MQTT 5) or 0.
"""
import sys

import paho.mqtt.client as mqtt

port, version, topic, path = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
protocol = mqtt.MQTTv5 if version == "5" else mqtt.MQTTv311
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=f"paho-{version}", protocol=protocol)
codes = {}


def on_publish(client, userdata, mid, reason_code, properties):
    codes[mid] = reason_code.value if hasattr(reason_code, "value") else 0


client.on_publish = on_publish
client.connect("127.0.0.1", port)
client.loop_start()
sent = [client.publish(topic, line.rstrip("\n"), qos=1) for line in open(path, encoding="utf-8")]
for info in sent:
    info.wait_for_publish(30)
    assert info.is_published(), "no PUBACK within 30 s"
client.disconnect()
client.loop_stop()
for info in sent:
    print(codes[info.mid])
