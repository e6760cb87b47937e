"""Whole sentences as answers, for tools/make-talks: from short answers, and from a passage."""
import re

from talk_passages import capital, sentences_of, with_article
from talk_words import ANIMALS, IRREGULAR, NO_VERBS, PEOPLE, QUALITIES


def past_of(verb):
    if verb in IRREGULAR:
        return IRREGULAR[verb]
    if verb.endswith("e"):
        return verb + "d"
    if re.search("[^aeiou]y$", verb):
        return verb[:-1] + "ied"
    if verb in ("stop", "drop", "beg", "nod", "plan", "rob", "hop", "skip", "slip", "trap", "grab",
                "step", "wrap", "pat", "hug", "whip", "snap", "trip", "drag", "chop", "clap",
                "admit", "permit", "prefer", "occur", "refer", "regret"):
        return verb + verb[-1] + "ed"
    return verb + "ed"

class Verbs:
    """The verbs of the texts: base forms, and their pasts."""

    def __init__(self, text):
        words = set(re.findall("[a-z]+", text))
        counts = {}
        for word in re.findall(r"\b(?:to|not|could|would) ([a-z]+)", text):
            counts[word] = counts.get(word, 0) + 1
        never = set(ANIMALS) | set(PEOPLE) | set(NO_VERBS)
        self.bases = {w for w, n in counts.items()
                      if w not in never and (w in IRREGULAR or n >= 3 and past_of(w) in words)}
        self.of_past = {past_of(w): w for w in sorted(self.bases)}

class Answers:
    def __init__(self, verbs):
        self.verbs = verbs

    def main_verb(self, words):
        for i in range(1, len(words)):
            low = words[i].lower()
            if low not in self.verbs.bases:
                continue
            if words[i - 1].lower() in ("the", "a", "an", "his", "her", "their", "of", "to", "and",
                                        "old", "young", "little", "poor", "in", "on", "at", "'s"):
                continue
            return i
        return None

    def told(self, text):
        """`the king send his son` as `the king sent his son`: (subject, predicate) or None."""
        words = text.split()
        at = self.main_verb(words)
        if at is None:
            return None
        verb, subject = words[at].lower(), words[:at]
        if subject[-1].lower() in ("not", "never"):
            if subject[-1].lower() == "never":
                return " ".join(subject), " ".join([past_of(verb)] + words[at + 1:])
            return " ".join(subject[:-1]), " ".join(["did not"] + words[at:])
        return " ".join(subject), " ".join([past_of(verb)] + words[at + 1:])

    def sentence(self, question, answer):
        """The answer as a whole sentence, or None where no rule fits."""
        q = question.strip().rstrip("?").strip()
        a = answer.strip().rstrip(".").strip()
        if not a or not q or len(a.split()) > 30:
            return None
        first = a.split()[0]
        if first.lower() in ("the", "a", "an", "he", "she", "it", "they", "his", "her", "their",
                             "to", "because", "by", "in", "at", "on", "there", "some", "so", "with",
                             "no", "one", "two", "three", "into", "from", "for", "as", "under"):
            a = first.lower() + a[len(first):]
        clause = bool(re.match(r"(?i)(he|she|it|they|there) \w+", a)) or bool(
            re.search(r" (was|were|had|did|would|could|wanted|thought|is|are) ", " " + a + " "))
        made = self.made(q, a, clause)
        if made is None:
            return None
        made = capital(re.sub(r"\s+", " ", made).strip()) + "."
        return made if 4 <= len(made.split()) <= 45 else None

    def made(self, q, a, clause):
        m = re.match(r"(?i)(why|how|where|when) (did|could|would)(n['’]t)? (.*)", q)
        if m:
            which, auxiliary, negated, rest = (m.group(1).lower(), m.group(2).lower(), m.group(3),
                                               m.group(4))
            if negated:
                words = rest.split()
                at = self.main_verb(words)
                told = None if at is None else (" ".join(words[:at]),
                                                auxiliary + " not " + " ".join(words[at:]))
            elif auxiliary == "did":
                told = self.told(rest)
            else:
                words = rest.split()
                at = self.main_verb(words)
                told = None if at is None else (" ".join(words[:at]),
                                                auxiliary + " " + " ".join(words[at:]))
            if told is None:
                return None
            subject, predicate = told
            if which == "why":
                if a.startswith("because"):
                    return f"{subject} {predicate} {a}"
                if a.startswith("to ") or a.startswith("so ") or a.startswith("for "):
                    return f"{subject} {predicate} {a}"
                return f"{subject} {predicate} because {a}" if clause else None
            if which == "how":
                m = re.match(r"felt?\b(.*)", predicate)
                if m:
                    return None if clause else f"{subject} felt {a}{m.group(1)}"
                if re.match(r"(by|with|through|as|in|on)\b", a) or a.split()[0].endswith("ly"):
                    return f"{subject} {predicate} {a}"
                return None
            if clause:
                return None
            if re.match(r"(in|into|on|at|to|near|under|by|from|behind|beside|over|up|down|through|"
                        r"outside|inside|out|towards?|across|along|round|upon|there|home|when|"
                        r"after|before)\b", a):
                return f"{subject} {predicate} {a}"
            last = predicate.split()[-1]
            if last in ("in", "into", "to", "at", "from", "on"):
                return f"{subject} {predicate} {a}"
            moving = re.match(r"(went|came|took|ran|rode|flew|sent|brought|travelled|led|walked|"
                              r"carried|returned|sailed)\b", predicate)
            if which == "when":
                return None
            return f"{subject} {predicate} {'to' if moving else 'in'} {a}"
        m = re.match(r"(?i)what did (.*?) do(?: (.*))?$", q)
        if m and not re.search(r"\b(want|need|have|tell|ask|say|decide|try|plan|like|wish|order|"
                               r"make|have|promise|see|hear|offer|beg|see|do)\b", m.group(1)):
            subject, rest = m.group(1), m.group(2) or ""
            verb = a.split()[0].lower()
            if clause and re.match(r"(he|she|it|they) ", a):
                a = a.split(" ", 1)[1]
                verb = a.split()[0].lower()
            if verb in self.verbs.of_past:
                return f"{subject} {a} {rest}" if len(rest.split()) < 14 else f"{subject} {a}"
            if verb in self.verbs.bases:
                return f"{subject} {past_of(verb)}{a[len(verb):]} {rest}"
            return None
        m = re.match(r"(?i)what did (.*)", q)
        if m:
            told = self.told(m.group(1))
            if told is None or clause:
                return None
            subject, predicate = told
            words = predicate.split()
            if re.search(r" to do\b", predicate):
                joined = "" if a.startswith("to ") else "to "
                a = a[0].lower() + a[1:]
                return f"{subject} " + re.sub(r"to do\b", joined + a, predicate, count=1)
            if words[0] in ("said", "thought", "did"):
                return None
            if len(words) == 1 or words[1].lower() in ("after", "when", "before", "in", "at", "on",
                                                       "to", "from", "for", "with", "while", "out",
                                                       "by", "under", "into", "as", "of", "about",
                                                       "inside", "near", "behind"):
                return f"{subject} {words[0]} {a} {' '.join(words[1:])}"
            return f"{subject} {predicate} {a}" if words[0] in (
                "told", "gave", "asked", "promised", "sent", "offered") else None
        m = re.match(r"(?i)who (?!did|were|was|is|are|will|would|does|do\b)(.*)", q)
        if m and not clause:
            return f"{a} {m.group(1)}"
        m = re.match(r"(?i)who (was|is) (.*)", q)
        if m and not clause:
            return (f"{a} {m.group(1)} {m.group(2)}"
                    if re.match(r"(on|in|at|the|living|standing)\b", m.group(2)) else
                    f"{m.group(2)} {m.group(1)} {a}" if re.match("[A-Z]", m.group(2)) else None)
        m = re.match(r"(?i)who did (.*)", q)
        if m and not clause:
            told = self.told(m.group(1))
            if told and len(told[1].split()) == 1:
                return f"{told[0]} {told[1]} {a}"
            return None
        m = re.match(r"(?i)what happened (after|when|before|because) (.*)", q)
        if m and clause:
            a = a[0].lower() + a[1:] if re.match("(The|An?) ", a) else a
            return f"{m.group(1)} {m.group(2)}, {a}"
        m = re.match(r"(?i)how (will|would) (.*?) feel\b(.*)", q)
        if m and not clause:
            return f"{m.group(2)} {m.group(1)} feel {a}{m.group(3)}"
        m = re.match(r"(?i)(?:why|how) (was|were) (.*)", q)
        if m and (a.startswith("because") or clause):
            words = m.group(2).split()
            if len(words) > 5:
                return None
            because = a if a.startswith("because") else "because " + a
            return f"{' '.join(words[:-1])} {m.group(1)} {words[-1]} {because}" if (
                len(words) > 1) else None
        return None


WHERE = set("go run come walk fly live sit fall ride lie stand jump sleep hide climb travel "
            "swim".split())
WHAT = set("see find want take eat make give hear think bring catch buy get know love carry ask "
           "tell drink look begin try hold throw".split())


def said_and_done(text, subject, verbs, rng, hero):
    """Questions that sentences of a passage answer, with them as the answers."""
    the = subject if hero.kind in ("girl", "boy") else "the " + subject
    found = []
    match_the = re.escape(the)
    for paragraph in text.split("\n\n"):
        for sentence in sentences_of(paragraph):
            plain = "“" not in sentence and '"' not in sentence
            m = re.match(rf"(?i)(?:[A-Z]\w+, |(?:so|then|but|and|at last|one day|now|soon),? )?"
                         rf"({match_the}) ([a-z]+)\b ?(.*)$", sentence)
            if m and plain and m.group(2) in verbs.of_past and 4 <= len(sentence.split()) <= 28:
                base, rest = verbs.of_past[m.group(2)], m.group(3)
                answer = capital(f"{the} {m.group(2)} {rest}")
                if base in ("say", "be"):
                    continue
                found.append((f"What did {the} do?", answer))
                if base in WHERE:
                    found.append((f"Where did {the} {base}?", answer))
                    found.append((f"Where did {the} {base}?", answer))
                elif base in WHAT:
                    of = {"think": " of", "look": " at"}.get(base, "")
                    found.append((f"What did {the} {base}{of}?", answer))
                    found.append((f"What did {the} {base}{of}?", answer))
                elif base in ("meet", "marry", "call", "follow", "help"):
                    found.append((f"Who did {the} {base}?", answer))
                if re.search(r"\b(because|for|so that|as)\b", rest):
                    found.append((f"Why did {the} {base} "
                                  f"{re.split(r',? (?:because|for|so that|as) ', rest)[0]}?"
                                  .replace(" ?", "?"), answer))
            m = re.match(rf"(?i)({match_the}) (was|had been) (very |so |quite |much |too )?"
                         rf"([a-z]+)( .*)?$", sentence)
            if m and plain and len(sentence.split()) <= 25:
                answer = capital(sentence)
                if m.group(4) in QUALITIES:
                    found.append((f"How did {the} feel?", answer))
                    found.append((f"Why was {the} {m.group(4)}?", answer))
                found.append((f"What was {the} like?", answer))
            m = re.match(rf"(“[^“”]{{8,120}}[,.!?]”) said ({match_the})\b", sentence, re.I)
            if m:
                speech = re.sub(r",”$", ".”", m.group(1))
                found.append((f"What did {the} say?", f"{capital(the)} said, {speech}"))
    # As one asks who has just heard the name.
    he = {"girl": "she", "boy": "he", "man": "he", "woman": "she"}.get(hero.kind, "it")
    found = [(re.sub(rf"\b{re.escape(the)}\b", he, question) if rng.random() < 0.15 else question,
              answer) for question, answer in found]
    about = subject if hero.kind in ("girl", "boy") else with_article(subject)
    if rng.random() < 0.12:
        found.append((rng.choice(["Who was the story about?", "What was the story about?",
                                  "Who is the story about?", "What is it about?"]),
                      f"The story was about {about}."))
    return found
