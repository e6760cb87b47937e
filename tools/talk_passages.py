"""Passages of the texts for tools/make-talks: where they begin, what they are about, and the same
passage about something else."""
import os
import re

from talk_words import ANIMALS, BOYS, GIRLS, NOT_NAMES, PEOPLE, TELLERS, THINGS

BEGIN, END = r"(?<![\w’'-])", r"(?![\w-])"


# ---- Words ----

def plural(noun):
    if noun.endswith(("s", "x", "ch", "sh")):
        return noun + "es"
    if noun.endswith("fe"):
        return noun[:-2] + "ves"
    if noun in ("wolf", "thief", "elf", "calf", "loaf", "leaf"):
        return noun[:-1] + "ves"
    if noun.endswith("man") and noun != "german":
        return noun[:-3] + "men"
    if noun in ("mouse", "goose"):
        return {"mouse": "mice", "goose": "geese"}[noun]
    if re.search("[^aeiou]y$", noun):
        return noun[:-1] + "ies"
    return noun + "s"


def with_article(phrase):
    vowel = re.match(r"(?i)[aeio]|u(?!ni)", phrase) and not re.match(r"(?i)one\b|eu", phrase)
    return ("an " if vowel else "a ") + phrase


def capital(text):
    return re.sub(r"\w", lambda m: m.group().upper(), text, count=1)


# ---- Passages ----

def sentences_of(paragraph):
    parts = re.split(r"(?<=[.!?])(?<!Mr\.)(?<!Mrs\.)(?<!Dr\.)(?<!St\.)([”’\"']*)\s+"
                     r"(?=[“‘\"'A-Z])", paragraph)
    out = []
    for i in range(0, len(parts), 2):
        out.append(parts[i] + (parts[i + 1] if i + 1 < len(parts) else ""))
    return [s for s in out if s.strip()]


TALES = {"aesop", "jacob-grimm", "rudyard-kipling", "beatrix-potter", "asp_en", "fairytaleqa"}


def is_title(paragraph):
    return len(paragraph.split()) <= 12 and not re.search(r"[.!?,;:”’\"]$", paragraph)


def tales_of(path):
    """(teller's key, title or None, paragraphs, whether it begins a tale) of each tale."""
    name = os.path.basename(path)
    key = next((k for k in TELLERS if name.startswith(k)), None)
    with open(path, encoding="utf-8") as file:
        text = file.read()
    if "<|endoftext|>" in text:
        for piece in text.split("<|endoftext|>"):
            lines = [line.strip() for line in piece.split("\n") if line.strip()]
            if len(lines) > 1:
                yield key, lines[0], lines[1:] if is_title(lines[0]) else lines
        return
    paragraphs = []
    for paragraph in re.split(r"\n\s*\n", text):
        paragraph = " ".join(paragraph.split())
        if not paragraph:
            continue
        if is_title(paragraph):
            if paragraphs:
                yield key, None, paragraphs
            paragraphs = []
        else:
            paragraphs.append(paragraph)
    if paragraphs:
        yield key, None, paragraphs


def is_told(text):
    """Whether more is told than spoken, and by none who says `I`."""
    spoken = sum(map(len, re.findall("“[^”]*”|\"[^\"]*\"", text)))
    told = re.sub("“[^”]*”|\"[^\"]*\"", "", text)
    return spoken * 2 < len(text) and not re.search(r"\b(I|we|my|me|our|us)\b", told)


GOOD_START = re.compile(r"(One|Once|There (was|lived)|Now|When|In|At|A|An|"
                        r"The (?!other)\w+ (was|had|went|\w+ed))\b")


class Tale:
    def __init__(self, key, paragraphs):
        self.key = key
        self.sentences = []  # (sentence, whether it begins a paragraph)
        for paragraph in paragraphs:
            for i, sentence in enumerate(sentences_of(paragraph)):
                self.sentences.append((sentence, i == 0))
        self.words = [len(s.split()) for s, _ in self.sentences]

    def cut(self, begin, least, most):
        """(text, end) of whole sentences from `begin`: least to most words, or None."""
        total, end = 0, begin
        while end < len(self.sentences) and total < least:
            total += self.words[end]
            end += 1
        # Rather to the end of its paragraph.
        for further in range(end, min(len(self.sentences), end + 4)):
            if sum(self.words[begin:further]) > most:
                break
            if further == len(self.sentences) or self.sentences[further][1]:
                end = further
                break
        if not min(least, 72) <= sum(self.words[begin:end]) <= most:
            return None
        text = " ".join(("\n\n" if start and i else "") + s
                        for i, (s, start) in enumerate(self.sentences[begin:end]))
        text = text.replace(" \n\n", "\n\n")
        if not re.search(r"[.!?][”’\"']*$", text) or re.search(r"[\[\]|_*#]|https?:", text):
            return None
        if text.count("“") != text.count("”"):
            return None
        return text, end

# ---- Heroes ----

class Hero:
    """What a passage is about: the word that stands for it, and of which kind it is."""

    def __init__(self, word, kind):
        self.word, self.kind = word, kind

    def pattern(self):
        if self.kind in ("girl", "boy"):
            return BEGIN + re.escape(self.word) + END
        return BEGIN + "(?i:" + re.escape(self.word) + ")" + END


KINDS = {w: "thing" for w in THINGS} | {w: "animal" for w in ANIMALS} | PEOPLE


def heroes_of(text, opening):
    """The nouns and names that occur three times and in the opening, the most frequent first."""
    found = {}
    for word in re.findall(r"(?<![\w-])[A-Za-z]+(?![\w-])", text):
        low = word.lower()
        if low in KINDS:
            found[low] = found.get(low, 0) + 1
        elif word != low and len(word) > 2 and word not in NOT_NAMES:
            found[word] = found.get(word, 0) + 1
    heroes = []
    length = len(text.split())
    for word, count in sorted(found.items(), key=lambda item: (-item[1], item[0])):
        if count < max(3, length / 60):
            break
        if word in KINDS and not is_noun(word, count, text):
            continue
        hero = Hero(word, KINDS.get(word) or name_kind(word, text))
        if hero.kind and re.search(hero.pattern(), opening):
            heroes.append(hero)
    return heroes


def is_noun(word, count, text):
    """Whether a word that may be a verb, too, as `bear`, is a noun here."""
    named = re.findall(r"(?i:\b(?:the|an?|this|that|old|little|young|poor|great|big) "
                       + word + ")" + END + r"|(?<=[a-z,] )" + word.capitalize() + END, text)
    return len(named) * 2 > count


def name_kind(word, text):
    """Whether a capitalised word is a girl's or a boy's name; None if it is neither."""
    if not re.search(r"(?<=[a-z,;] )" + word + END, text):
        return None  # but at the beginnings of sentences
    if re.search(r"(\b([Tt]he|[Aa]n?|of|Mrs?\.|Miss|Aunt|Uncle|Sir|Lady|Captain|Doctor|King|Queen) "
                 + word + END + ")|" + BEGIN + word + " [A-Z]", text):
        return None
    if word in GIRLS or word in BOYS:
        return "girl" if word in GIRLS else "boy"
    she = len(re.findall(r"\b([Ss]he|[Hh]ers?)\b", text))
    he = len(re.findall(r"\b([Hh]e|[Hh]im|[Hh]is)\b", text))
    return "girl" if she > he else "boy"


class Swap:
    """Replaces a hero by another, in all its forms."""

    def __init__(self, hero, subject):
        self.hero, self.subject = hero, subject
        if hero.kind in ("girl", "boy"):
            self.pattern = re.compile(hero.pattern())
            return
        forms = {hero.word: subject, plural(hero.word): plural(subject)}
        self.forms = forms
        words = "|".join(sorted(map(re.escape, forms), key=len, reverse=True))
        self.pattern = re.compile(r"(?P<article>\b[Aa]n? )?" + BEGIN + "(?i:" + words + ")" + END)

    def __call__(self, text):
        if self.subject == self.hero.word:
            return text
        return self.pattern.sub(self.replace, text)

    def replace(self, match):
        if self.hero.kind in ("girl", "boy"):
            return self.subject
        article = match.group("article") or ""
        word = match.group()[len(article):]
        new = self.forms[word.lower()]
        if word[0].isupper():
            new = capital(new)
        if article:
            right = with_article(new).split(" ")[0]
            article = (capital(right) if article[0] == "A" else right) + " "
        return article + new
