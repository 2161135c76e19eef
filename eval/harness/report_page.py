"""The template of the report's page."""

from __future__ import annotations

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>mm4st evaluation: {{ run.name }}</title>
<style>
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1c1c1c; background: #fff; margin: 0 auto; max-width: 68rem;
  padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.6rem; margin: 0 0 .3rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.4rem 0 .6rem; }
p { max-width: 48rem; }
.quiet { color: #555; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .92rem; width: 100%; }
th, td { text-align: left; padding: .35rem .6rem; border-bottom: 1px solid #e2e2e2; vertical-align: top; }
th { font-weight: 600; white-space: nowrap; }
td.n, th.n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
td.name { font-weight: 600; }
svg { width: 44rem; max-width: 100%; min-width: 32rem; height: auto; display: block; }
.above { color: #17693a; } .below { color: #a32020; }
details { border: 1px solid #ddd; border-radius: 6px; margin: .5rem 0; }
summary { cursor: pointer; padding: .5rem .8rem; }
details > div { padding: 0 .8rem .8rem; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: #f6f6f4; padding: .6rem .8rem; margin: .2rem 0 .8rem;
  font: .86rem/1.45 ui-monospace, monospace; border-radius: 4px; }
.tag { display: inline-block; min-width: 3.2rem; font-variant-numeric: tabular-nums; font-weight: 600; }
code { overflow-wrap: anywhere; }
dt { font-weight: 600; margin-top: .5rem; } dd { margin: 0 0 0 1rem; max-width: 56rem; }
.figure { display: inline-block; margin-right: 1.2rem; }
</style>
</head>
<body>
<h1>{{ run.model }} on {{ run.target }}</h1>
<p class="quiet">Half <b>{{ run.half }}</b>, {{ total }} questions asked in {{ (seconds / 60)|number(1) }} minutes,
{{ run.created.strftime("%Y-%m-%d %H:%M UTC") }}. Commit <code>{{ (run.commit or "-")[:12] }}</code>
{%- if run.dirty %}, with changes that are not committed{% endif %}.</p>

<h2>How it scores</h2>
<div class="wide">{{ scores }}</div>
<div class="wide"><table>
<thead><tr><th>suite</th><th class="n">score</th><th class="n">95 % interval</th><th class="n">baseline</th>
<th>against it</th><th class="n">scored</th><th class="n">unscored</th><th class="n">failed</th></tr></thead>
<tbody>
{% for suite, verdict in verdicts %}
<tr><td class="name">{{ suite.name }}</td><td class="n">{{ suite.score|number }}</td>
<td class="n">{% if suite.low is none %}-{% else %}{{ suite.low|number }} to {{ suite.high|number }}{% endif %}</td>
<td class="n">{{ suite.baseline|number }}</td>
<td class="{{ verdict.split()[0] }}">{{ verdict }}</td>
<td class="n">{{ suite.scored }}</td><td class="n">{{ suite.unscored }}</td><td class="n">{{ suite.failed }}</td></tr>
{% endfor %}
</tbody></table></div>
<p class="quiet">Scores are from 0 to 1, higher is better, averaged over items; intervals are by bootstrap over items.
The baseline is averaged over the scored items that it has a score for, and what is said against it rests on the paired
differences. Items without a score count in no average.</p>

<h2>What is measured</h2>
<dl>
{% for suite in run.suites %}
<dt>{{ suite.name }}</dt><dd>{{ suite.measures }} <span class="quiet">Baseline: {{ suite.baseline_name }}.</span></dd>
{% endfor %}
</dl>

<h2>Where it is weak</h2>
<p class="quiet">The kinds of item that score least, and how many items each rests on.</p>
<div class="wide">{{ kinds }}</div>

<h2>What it costs</h2>
<div class="wide">{{ costs }}</div>
<div class="wide"><table>
<thead><tr><th>suite</th><th class="n">score</th><th class="n">model calls</th><th class="n">tokens</th>
<th class="n">tool calls</th><th class="n">seconds</th></tr></thead><tbody>
{% for suite in run.suites %}
<tr><td class="name">{{ suite.name }}</td><td class="n">{{ suite.score|number }}</td>
<td class="n">{{ suite.cost.model_calls|number(1) }}</td><td class="n">{{ suite.cost.tokens|number(0) }}</td>
<td class="n">{{ suite.cost.tool_calls|number(1) }}</td><td class="n">{{ suite.cost.seconds|number(2) }}</td></tr>
{% endfor %}
</tbody></table></div>
<p class="quiet">Of one question, on average. A dash under tokens: the chat model does not tell.</p>

{% if run.suites|selectattr("details")|list %}
<h2>What else was measured</h2>
<p class="quiet">Means over the items that have the figure.</p>
<dl>
{% for suite in run.suites if suite.details %}
<dt>{{ suite.name }}</dt><dd>{% for name, value in suite.details.items() %}
<span class="figure">{{ name.replace("_", " ") }} <b>{{ value|number }}</b></span>
{% endfor %}</dd>
{% endfor %}
</dl>
{% endif %}

<h2>The worst {{ worst|length }} items</h2>
{% if not worst %}<p>None: every item has the full score.</p>{% endif %}
{% for item in worst %}
<details{% if loop.first %} open{% endif %}>
<summary><span class="tag">{{ "failed" if item.one.value is none else item.one.value|number(2) }}</span>
<b>{{ item.one.suite }}</b> <span class="quiet">{{ item.one.kind }}, {{ item.one.dataset }}</span>
{{ item.one.questions[-1] }}</summary>
<div>
{% if item.one.questions|length > 1 %}
<b>Asked before</b><pre>{{ item.one.questions[:-1]|join("\n") }}</pre>
{% endif %}
<b>Why</b><pre>{{ item.one.why or "-" }}</pre>
<b>Answer</b><pre>{{ item.answer or "There is none." }}</pre>
<b>Expected</b><pre>{{ item.expect }}</pre>
<span class="quiet"><code>{{ item.one.id }}</code>{% if item.one.as_of %}, clock {{ item.one.as_of }}{% endif %},
{{ item.one.seconds|number(1) }} s</span>
</div>
</details>
{% endfor %}

{% if missing %}
<h2>Items without a score</h2>
<div class="wide"><table>
<thead><tr><th>suite</th><th>item</th><th>what</th><th>why</th></tr></thead><tbody>
{% for one in missing[:50] %}
<tr><td class="name">{{ one.suite }}</td><td>{{ one.id }}</td><td>{{ one.status }}</td><td>{{ one.why[:300] }}</td></tr>
{% endfor %}
</tbody></table></div>
{% if missing|length > 50 %}<p class="quiet">And {{ missing|length - 50 }} more.</p>{% endif %}
{% endif %}

<h2>What was run</h2>
<div class="wide"><table><tbody>
<tr><th>run</th><td><code>{{ run.name }}</code></td></tr>
<tr><th>chat model</th><td>{{ run.chat_model }} ({{ run.model }})</td></tr>
<tr><th>items of a suite</th><td>{{ run.limit or "all, or as the guard's floors say" }}; epochs {{ run.epochs }};
seed {{ run.seed }}</td></tr>
<tr><th>commit</th><td><code>{{ run.commit or "-" }}</code>{% if run.dirty %} (dirty){% endif %}</td></tr>
<tr><th>machine</th><td>{{ run.machine }}</td></tr>
{% if run.suites|selectattr("skipped")|list %}
<tr><th>left out</th><td>{% for suite in run.suites %}{% for name, count in suite.skipped.items() %}
{{ suite.name }}: {{ count }} on {{ name }}. {% endfor %}{% endfor %}</td></tr>
{% endif %}
</tbody></table></div>
<details><summary>Data, prompts, versions, settings</summary><div>
<b>Data (sha256)</b><pre>{% for name, hash in run.data.items() %}{{ name }}  {{ hash or "-" }}
{% endfor %}</pre>
<b>Prompts (sha256)</b><pre>{% for name, hash in run.prompts.items() %}{{ name }}  {{ hash[:16] }}
{% endfor %}</pre>
<b>Versions</b><pre>{% for name, value in run.versions.items() %}{{ name }} {{ value }}
{% endfor %}</pre>
<b>Settings</b><pre>{% for name, value in run.settings.items() %}{{ name }} = {{ value }}
{% endfor %}</pre>
</div></details>
</body>
</html>
"""
