"""Whether a question is in English, the only language that the embedded chat model reads."""

from __future__ import annotations

import re
from functools import cache

_COMMON = {
    "German": "der das und ist wie viel wird werden haben nicht ein eine auf mit den dem zu bei im für wann",
    "French": "le la les des est et une dans pour sur avec du au aux il que qui sera",
    "Spanish": "el los las es y una en por para con qué que será del al hay",
    "Italian": "il gli è e una nel con che sarà della di ci alla",
    "Portuguese": "os é uma na por para com que será da do em há",
    "Dutch": "de het een en is hoeveel wordt voor met niet op van wat er",
}
"""Words that other languages share with each other or with English names; two of them tell a language."""
_TELLING = {
    "German": "verkehr wieviel wieviele nächste nächsten nächster stunde stunden warum morgen heute gestern autos"
    " fahrzeuge straße stau geschwindigkeit jetzt uhr welche gibt wetter minuten hallo guten danke vorhersage",
    "French": "combien voitures trafic demain matin heure heures prochaine prochain pourquoi quel quelle comment"
    " bonjour merci aujourd'hui hier maintenant soir vitesse véhicules circulation gare bouchon",
    "Spanish": "cuánto cuánta cuántos cuántas cuanto cuantos tráfico coches próxima próximo hora horas cómo mañana"
    " hoy ayer ahora velocidad estación hola gracias vehículos porque habrá",
    "Italian": "quanto quanta quanti quante traffico prossima prossimo perché domani oggi ieri adesso velocità stazione"
    " ciao grazie macchine veicoli",
    "Portuguese": "quantos quantas tráfego trânsito próxima amanhã hoje ontem agora velocidade estação olá obrigado"
    " carros",
    "Dutch": "hoeveel verkeer volgende komende uur waarom vandaag gisteren snelheid wanneer dank voertuigen drukte",
}
"""Words that are no English ones; one of them, in a question without English words, tells a language."""
_ENGLISH = (
    "the a an and is are was were will would how much many what which who why when where there of for on at near over"
    " next hour hours show me tell any do does did it this that with from to by in be can you your i my please about"
    " traffic forecast speed flow now today tomorrow yesterday busy status station sensor minutes jam if not as has had"
    " have or but than more less last past between until before after expect should list compare tonight morning"
)


@cache
def _vocabulary(kind: str) -> dict[str, frozenset[str]]:
    source = {"common": _COMMON, "telling": _TELLING, "english": {"English": _ENGLISH}}[kind]
    return {name: frozenset(words.split()) for name, words in source.items()}


def other_language(question: str) -> str | None:
    """The language of a question that is not English, 'another script' where it is not written in Latin letters.

    Capitalised words inside a sentence are names ("El Toro", "Las Palmas") and tell no language.
    """
    letters = [c for c in question if c.isalpha()]
    if letters and sum(c < "ɐ" for c in letters) < 0.5 * len(letters):
        return "another script"
    sentence = re.sub(r"(?<=\s)[A-Z][\w'’-]*(?:\s+[A-Z][\w'’-]*)+", " ", question)
    sentence = re.sub(r"^[A-Z][a-z]{1,2}\s+[A-Z][\w'’-]+", " ", sentence)
    words = re.findall(r"[^\W\d_]+(?:'[^\W\d_]+)?", sentence.casefold().replace("’", "'"))
    english = sum(word in _vocabulary("english")["English"] for word in words)
    scores = {
        name: sum(word in _vocabulary("common")[name] for word in words)
        + 2 * sum(word in told for word in words)
        + (2 if name == "Spanish" and re.search("[¿¡]", question) else 0)
        for name, told in _vocabulary("telling").items()
    }
    best = max(scores, key=lambda name: scores[name])
    return best if scores[best] >= 2 and scores[best] > english else None
