"""The template of the report's page."""

from __future__ import annotations

_MARKS = """
{% macro at(share) %}{{ (100 * share)|round(2) }}%{% endmacro %}
{% macro diamond(x) %}
<svg x="{{ x }}" y="50%"><path class="baseline" d="M0-6 6 0 0 6-6 0z"/></svg>
{% endmacro %}
{% macro lines(shares) %}
{% for share in shares %}
<line class="grid" x1="{{ at(share) }}" x2="{{ at(share) }}" y1="0" y2="100%"/>
{% endfor %}
{% endmacro %}
{% macro key() %}
<p class="key quiet"><span><svg><circle class="score" cx="50%" cy="50%" r="6"/></svg> score</span>
<span><svg><line class="spread" x1="10%" x2="90%" y1="50%" y2="50%"/></svg> its 95 % interval</span>
<span><svg>{{ diamond("50%") }}</svg> baseline</span></p>
{% endmacro %}
{% macro scores_of(rows) %}
<ol class="chart">
{% for row in rows %}
{% set score = row.score %}
<li><span><b>{{ row.name }}</b> <span class="quiet">{{ row.note }}</span></span>
<svg role="img" aria-label="{{ row.name }}: score {{ score.score|number }}, baseline {{ score.baseline|number }}">
{{ lines([0, 0.25, 0.5, 0.75, 1]) }}
{% if score.low is not none %}
<line class="spread" x1="{{ at(score.low) }}" x2="{{ at(score.high) }}" y1="50%" y2="50%"/>
{% endif %}
{% if score.baseline is not none %}{{ diamond(at(score.baseline)) }}{% endif %}
{% if score.score is not none %}<circle class="score" cx="{{ at(score.score) }}" cy="50%" r="6"/>{% endif %}
</svg>
<span class="figures"><b>{{ score.score|number(2) }}</b>
{% if score.low is not none %}<span class="quiet">{{ score.low|number(2) }} to {{ score.high|number(2) }}</span>
{% endif %}</span></li>
{% endfor %}
<li aria-hidden="true"><span class="ticks quiet"><span>0</span><span>0.5</span><span>1</span></span></li>
</ol>
{% endmacro %}
"""

PAGE = (
    _MARKS
    + """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>mm4st evaluation: {{ run.name }}</title>
<style>
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e6e3; --quiet: #a9a9a4; --page: #17181a; --line: #3a3c3f; --panel: #222427; --ours: #74b3ee;
    --spread: #2f5675; --baseline: #f0a05a; --above: #6fcf97; --below: #f28b82; }
}
@media (prefers-color-scheme: light) {
  :root { --ink: #1c1c1c; --quiet: #555; --page: #fff; --line: #dcdcdc; --panel: #f6f6f4; --ours: #1f5f99;
    --spread: #9db7d1; --baseline: #c4621a; --above: #17693a; --below: #a32020; }
}
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page); margin: 0 auto;
  max-width: 68rem; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.6rem; margin: 0 0 .3rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.4rem 0 .6rem; }
p { max-width: 48rem; }
.quiet { color: var(--quiet); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .92rem; width: 100%; }
th, td { text-align: left; padding: .35rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; white-space: nowrap; }
td.n, th.n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
td.name { font-weight: 600; }
.above { color: var(--above); } .below { color: var(--below); }
.chart { list-style: none; margin: .6rem 0 1.2rem; padding: 0; max-width: 60rem; }
.chart li { display: grid; grid-template-columns: 17rem 1fr 9.5rem; column-gap: 1.4rem; align-items: center;
  padding: .16rem 0; overflow-wrap: anywhere; }
.chart .figures { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; font-size: .92rem; }
.chart .ticks { display: flex; justify-content: space-between; grid-column: 2; font-size: .82rem; }
.chart li > svg { width: calc(100% - 12px); height: 20px; margin: 0 6px; display: block; overflow: visible; }
.chart svg svg { overflow: visible; }
.key svg { width: 1.6rem; height: .9rem; vertical-align: middle; overflow: visible; }
.key span { margin-right: 1.1rem; white-space: nowrap; }
.grid { stroke: var(--line); } .spread { stroke: var(--spread); stroke-width: 6; stroke-linecap: round; }
.score { fill: var(--ours); } .baseline { fill: var(--baseline); } .one { fill: var(--spread); fill-opacity: .6; }
@media (max-width: 46rem) {
  .chart li { grid-template-columns: minmax(0, 1fr) auto; padding: .3rem 0; }
  .chart li > svg, .chart .ticks { grid-row: 2; grid-column: 1 / -1; }
  .chart .ticks { grid-row: 1; }
  .drawn { display: none; }
  th, td { padding: .35rem .4rem; }
}
details { border: 1px solid var(--line); border-radius: 6px; margin: .5rem 0; }
summary { cursor: pointer; padding: .5rem .8rem; overflow-wrap: anywhere; }
details > div { padding: 0 .8rem .8rem; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: var(--panel); padding: .6rem .8rem;
  margin: .2rem 0 .8rem; font: .86rem/1.45 ui-monospace, monospace; border-radius: 4px; }
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

<h2>In short</h2>
<ul>
{% for line in short %}
<li>{{ line }}</li>
{% endfor %}
</ul>

<h2>How it scores</h2>
{{ key() }}
{{ scores_of(scores) }}
<div class="wide"><table>
<thead><tr><th>suite</th><th class="n drawn">score</th><th class="n drawn">95 % interval</th>
<th class="n">baseline</th><th>against it</th>
<th class="n">scored</th><th class="n">unscored</th><th class="n">failed</th></tr></thead>
<tbody>
{% for suite, verdict in verdicts %}
<tr><td class="name">{{ suite.name }}</td><td class="n drawn">{{ suite.score|number }}</td>
<td class="n drawn">{% if suite.low is none %}-{% else %}
{{ suite.low|number }} to {{ suite.high|number }}{% endif %}</td>
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
{{ key() }}
{{ scores_of(kinds) }}

<h2>What it costs</h2>
<p class="quiet">Seconds a question: each item, and their mean as the larger dot.</p>
<ol class="chart">
{% for row in costs.rows %}
<li><b>{{ row.name }}</b>
<svg role="img" aria-label="{{ row.name }}: {{ row.seconds|number(2) }} s a question on average">
{{ lines(costs.ticks|map(attribute=1)) }}
{% for place in row.places %}
<circle class="one" cx="{{ at(place) }}" cy="50%" r="4"/>
{% endfor %}
<circle class="score" cx="{{ at(row.mean) }}" cy="50%" r="6"/>
</svg>
<span class="figures"><b>{{ row.seconds|number(2) }} s</b></span></li>
{% endfor %}
<li aria-hidden="true"><span class="ticks quiet">{% for words, _ in costs.ticks %}<span>{{ words }}</span>{% endfor %}
</span></li>
</ol>
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
)
