"""Page that shows the objects in an uploaded image, with Flask: http://127.0.0.1:5000/

pip install "edge-ssd[device]" flask
MODEL=banana.tflite flask --app flask_page run      # MODEL: a file, or a shipped model; nano if it is not set
"""

import base64
import functools
import io
import os

from flask import Flask, render_template_string, request
from PIL import Image

from edge_ssd import Detector, ImageError, draw_detections

PAGE = """<!doctype html>
<html lang="en">
<title>Detector</title>
<form method="post" enctype="multipart/form-data">
  <label>Image <input type="file" name="image" accept="image/*" required></label> <button>Detect</button>
</form>
{% if error %}<p role="alert">{{ error }}</p>{% endif %}
{% if image %}<img src="data:image/jpeg;base64,{{ image }}" alt="the image with boxes">{% endif %}
{% if detections is not none %}<ul>
{% for object in detections %}  <li>{{ object.label }} {{ "%.2f"|format(object.score) }}</li>
{% else %}  <li>nothing found</li>
{% endfor %}</ul>{% endif %}
</html>
"""

app = Flask(__name__)
app.config["MAX_CONTENT_LENGTH"] = 20_000_000  # Flask answers larger requests with status 413.


@functools.cache
def detector() -> Detector:
    # Made by the first request: a server that forks (gunicorn) then has one in each worker process, as is needed.
    # It is thread-safe; the threads of a worker take turns.
    return Detector(os.environ.get("MODEL", "nano"))


@app.route("/", methods=["GET", "POST"])
def index() -> tuple[str, int]:
    if request.method == "GET":
        return render_template_string(PAGE, detections=None), 200
    file = request.files.get("image")
    data = file.read() if file else b""
    try:
        detections = detector().detect(data)  # checks the size of the image before it decodes it
        drawn = draw_detections(data, detections)
    except ImageError as error:
        return render_template_string(PAGE, detections=None, error=str(error)), 422
    jpeg = io.BytesIO()
    Image.fromarray(drawn).save(jpeg, "JPEG")
    encoded = base64.b64encode(jpeg.getvalue()).decode()
    return render_template_string(PAGE, detections=detections, image=encoded), 200
