"""Tasks of lm-evaluation-harness as its package describes them, with local files for rows."""

import json
import pathlib

import lm_eval

DATA = pathlib.Path("../shared/data/eval")
PACKAGE = pathlib.Path(lm_eval.__file__).parent / "tasks"


def read(name):
    return [json.loads(line) for line in (DATA / name).read_text().split("\n") if line.strip()]


def piqa():
    labels = (DATA / "piqa.valid-labels.lst").read_text().split()
    return [dict(row, label=int(label)) for row, label in zip(read("piqa.valid.jsonl"), labels)]


def hellaswag():
    # The file's rows are joined already: parts that the harness joins to the same text.
    out = []
    for row in read("hellaswag.val.jsonl"):
        label, rest = row["query"].split(": ", 1)
        out.append({"activity_label": label, "ctx_a": rest, "ctx_b": "", "endings": row["endings"],
                    "label": str(row["gold"])})
    return out


def headqa():
    exams = json.loads((DATA / "HEAD_EN.json").read_text())["exams"]
    return [{"qtext": q["qtext"], "ra": int(q["ra"]), "answers": q["answers"]}
            for exam in exams.values() for q in exam["data"]]


def openbookqa():
    return [{"question_stem": row["question"]["stem"], "answerKey": row["answerKey"], "choices": {
        "text": [c["text"] for c in row["question"]["choices"]],
        "label": [c["label"] for c in row["question"]["choices"]]}} for row in read("openbookqa.test.jsonl")]


def xwinograd(language):
    return [row for row in read("xwinograd.jsonl") if row["lang"] == language]


def mmlu(subject, split):
    return [row for row in read(f"mmlu.{split}.jsonl") if row["subject"] == subject]


# Rows by hand, for tasks whose data is not at hand; linnet reads the same file.
SCIQ = [{"question": f"What is thing {i}?", "distractor1": "a bird", "distractor2": "a tree", "distractor3": "the sea",
         "correct_answer": f"number {i}", "support": " It is said that a thing has a number.\n" * (i % 3)} for i in range(12)]
STORIES = [{"story_id": str(i), "input_sentence_1": "Tom had a dog.", "input_sentence_2": f"It was {i} years old.",
            "input_sentence_3": "They went to the river.", "input_sentence_4": "It was cold.",
            "sentence_quiz1": "They went home.", "sentence_quiz2": "He ate the boat.", "answer_right_ending": 1 + i % 2}
           for i in range(8)]
TRIVIA = [{"question": q, "answer": {"aliases": a}} for q, a in [
    ("What did the king say", ["yes", "No"]), ("Who was in the garden", ["the cat"]), ("Where did she go", ["home"])]]

# Name: (file of the package, split, rows, few-shot split and rows).
TASKS = {
    "lambada_openai": ("lambada/lambada_openai.yaml", "test", lambda: read("lambada_test.jsonl"), None),
    "piqa": ("piqa/piqa.yaml", "validation", piqa, None),
    "hellaswag": ("hellaswag/hellaswag.yaml", "validation", hellaswag, None),
    "winogrande": ("winogrande/default.yaml", "validation",
                   lambda: read("winogrande__winogrande_xl.validation.jsonl"), None),
    "arc_easy": ("arc/arc_easy.yaml", "test", lambda: read("ARC-Easy-test.jsonl"), None),
    "arc_challenge": ("arc/arc_challenge.yaml", "test", lambda: read("ARC-Challenge-test.jsonl"), None),
    "headqa_en": ("headqa/headqa_en.yaml", "test", headqa, None),
    "openbookqa": ("openbookqa/openbookqa.yaml", "test", openbookqa, None),
    "copa": ("super_glue/copa/default.yaml", "validation", lambda: read("copa.val.jsonl"), None),
    "xcopa_tr": ("xcopa/default_tr.yaml", "test", lambda: read("xcopa/test.tr.jsonl"), None),
    "xcopa_zh": ("xcopa/default_zh.yaml", "test", lambda: read("xcopa/test.zh.jsonl"), None),
    "xwinograd_jp": ("xwinograd/xwinograd_jp.yaml", "test", lambda: xwinograd("jp"), None),
    "xwinograd_ru": ("xwinograd/xwinograd_ru.yaml", "test", lambda: xwinograd("ru"), None),
    "mmlu_anatomy": ("mmlu/default/mmlu_anatomy.yaml", "test", lambda: mmlu("anatomy", "validation"),
                     ("dev", lambda: mmlu("anatomy", "dev"))),
    "sciq": ("sciq/sciq.yaml", "test", lambda: SCIQ, None),
    "storycloze_2016": ("storycloze/storycloze_2016.yaml", "test", lambda: STORIES, None),
    "triviaqa": ("triviaqa/default.yaml", "validation", lambda: TRIVIA, None),
}
# What linnet needs in its data folder beside the files that are there.
OWN_FILES = {"sciq/test.jsonl": SCIQ, "story_cloze/test.jsonl": STORIES, "trivia_qa/validation.jsonl": TRIVIA}


def write_lines(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def write_tasks(folder, limit):
    """One YAML file for each task, which includes the package's, and its rows."""
    for name, (source, split, rows, shots) in TASKS.items():
        files = {split: str(folder / f"{name}.jsonl")}
        write_lines(folder / f"{name}.jsonl", rows()[:limit])
        if shots:
            files[shots[0]] = str(folder / f"{name}.shots.jsonl")
            write_lines(folder / f"{name}.shots.jsonl", shots[1]())
        fields = {"include": str(PACKAGE / source), "task": name, "dataset_path": "json", "dataset_name": None,
                  "dataset_kwargs": {"data_files": files}}
        for field in ("training_split", "validation_split", "test_split"):
            fields[field] = split if field == f"{split}_split" else None
        (folder / f"{name}.yaml").write_text(json.dumps(fields))  # JSON is YAML


def write_data(folder):
    """The folder that linnet reads: the shared files and our own."""
    for path in sorted(DATA.iterdir()):
        (folder / path.name).symlink_to(path.resolve())
    for name, rows in OWN_FILES.items():
        write_lines(folder / name, rows)
