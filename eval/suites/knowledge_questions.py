"""What is asked of each shipped note: for development, and for the test in other words."""

from __future__ import annotations

from collections.abc import Mapping

NOTE_QUESTIONS: Mapping[str, tuple[str, str]] = {
    "aqi-pm25": (
        "What does an air quality index of 150 mean for PM2.5?",
        "From which concentration of fine particles on is the air called unhealthy?",
    ),
    "autoscaling": (
        "How does an autoscaler decide how many replicas to run?",
        "By what rule does Kubernetes change the number of pods?",
    ),
    "capacity-drop": (
        "Why does a bottleneck let fewer cars through once a queue has formed?",
        "By how much does the discharge of a bottleneck fall after a breakdown?",
    ),
    "chp-codes": (
        "What does code 1183 mean in the log of the California Highway Patrol?",
        "Numbers such as 1125 stand in the highway patrol's incident log: what are they?",
    ),
    "congestion-sources": (
        "What are the main causes of congestion?",
        "Which share of traffic jams comes from crashes, and which from bad weather?",
    ),
    "forecast-intervals": (
        "What does an 80 % prediction interval mean?",
        "In general, how should one read the range around a forecast?",
    ),
    "fundamental-diagram": (
        "How are flow, density and speed of traffic related?",
        "In theory, at which density does a road carry the most vehicles?",
    ),
    "incident-capacity": (
        "How much capacity is lost when a crash blocks one lane of three?",
        "What remains of a freeway's capacity when a collision closes a lane?",
    ),
    "inversion-mixing-height": (
        "What does a temperature inversion do to air pollution?",
        "Why is smog worse under a shallow mixing layer?",
    ),
    "landslide-rainfall": (
        "How much rain triggers landslides?",
        "Which intensity and duration of rainfall makes slopes slide?",
    ),
    "llm-serving-load": (
        "What determines the load of a server for language models?",
        "Why do the lengths of prompts and outputs matter for LLM inference?",
    ),
    "loop-detector-faults": (
        "How do loop detectors fail?",
        "Which faults make an inductive loop report wrong counts?",
    ),
    "ozone-sunlight": (
        "Why is ozone highest on sunny afternoons?",
        "How does sunshine make ozone?",
    ),
    "queueing-utilisation": (
        "Why do waiting times explode when a server is nearly fully used?",
        "How does delay grow with utilisation in a queue?",
    ),
    "rain-capacity": (
        "How does rain change the speed and the capacity of a freeway?",
        "What does wet weather cost a motorway in capacity, as a rule?",
    ),
    "seasonal-naive-mase": (
        "What is the seasonal naive forecast good for?",
        "How is the mean absolute scaled error defined?",
    ),
    "shock-waves": (
        "How fast does a queue grow backwards?",
        "In general, at what speed does a traffic jam travel upstream?",
    ),
    "urban-mfd": (
        "Is there a fundamental diagram for a whole city?",
        "How do the vehicles in a town centre and its total flow hang together?",
    ),
    "weekly-seasonality": (
        "Why is traffic on weekdays different from that at weekends?",
        "How does demand on roads vary over the week and on holidays, in general?",
    ),
    "wind-dispersion": (
        "How does wind dilute pollution?",
        "In general, what does calm air do to the concentration of particles?",
    ),
}
"""By the note's file name."""
