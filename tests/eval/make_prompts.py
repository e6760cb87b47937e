"""Writes prompts.json: rows written by hand, in the form in which each data set is published, and
what lm-evaluation-harness 0.4.13 makes of the same rows in the form of Hugging Face.

    python tests/eval/make_prompts.py > tests/eval/prompts.json

needs PyPI's lm_eval, pinned in requirements.txt. The test is src/eval/task_prompts_test.cc.
"""

import csv
import io
import json
import pathlib
import sys
import types

import datasets

# The harness imports a module of transformers for two functions on texts, which no prompt needs.
for name in ("transformers", "transformers.data", "transformers.data.metrics",
             "transformers.data.metrics.squad_metrics"):
    sys.modules.setdefault(name, types.ModuleType(name))
sys.modules["transformers"].PreTrainedTokenizerBase = type("None", (), {})  # datasets looks for it
sys.modules["transformers.data.metrics"].squad_metrics = sys.modules[
    "transformers.data.metrics.squad_metrics"]

import lm_eval  # noqa: E402
from lm_eval.api import task as harness  # noqa: E402
from lm_eval.tasks import TaskManager  # noqa: E402


def lines(rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def table(rows, delimiter=",", names=None):
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\r\n")
    if names:
        writer.writerow(names)
    writer.writerows(rows)
    return out.getvalue()


def case(task, splits, files, shots=0):
    return {"task": task, "splits": splits, "files": files, "shots": shots}


CASES = []

LAMBADA = [{"text": "The owl sat in the  old tree and looked at the moon"},
           {"text": "“Wait,” she said.\n\nHe did not wait"}, {"text": "word"}]
CASES.append(case("lambada_openai", {"test": LAMBADA}, {"lambada_test.jsonl": lines(LAMBADA)}))
GERMAN = [{"text": "Der Fuchs lief über die grüne Wiese"}]
CASES.append(case("lambada_openai_mt_de", {"test": GERMAN}, {"lambada_test_de.jsonl": lines(GERMAN)}))

PIQA = [{"goal": f"How to do thing {i}?", "sol1": f"Use a{i} ", "sol2": f"Use the \"b{i}\" ß", "label": i % 2}
        for i in range(40)]
PIQA_RAW = [{k: v for k, v in row.items() if k != "label"} for row in PIQA]
CASES.append(case("piqa", {"validation": PIQA[:3]}, {
    "piqa.valid.jsonl": lines(PIQA_RAW[:3]), "piqa.valid-labels.lst": "0\n1\n0\n"}))
CASES.append(case("piqa", {"validation": PIQA[:3], "train": PIQA[1:]}, {
    "physicaliqa-train-dev/dev.jsonl": lines(PIQA_RAW[:3]),
    "physicaliqa-train-dev/dev-labels.lst": "0\n1\n0\n",
    "physicaliqa-train-dev/train.jsonl": lines(PIQA_RAW[1:]),
    "physicaliqa-train-dev/train-labels.lst": "".join(f"{row['label']}\n" for row in PIQA[1:])}, shots=3))

STORIES = [["a1", "Jo woke up.", "She was late.", 'She said "oh, no".', "She ran.", "She slept on.",
            "She caught the bus.", 2],
           ["a2", "It rained.", "The river rose.", "It rose more.", "People left.", "They came back later.",
            "They ate.", 1]]
STORY_NAMES = ["InputStoryid", "InputSentence1", "InputSentence2", "InputSentence3", "InputSentence4",
               "RandomFifthSentenceQuiz1", "RandomFifthSentenceQuiz2", "AnswerRightEnding"]
STORY_ROWS = [dict(zip(["story_id", "input_sentence_1", "input_sentence_2", "input_sentence_3",
                        "input_sentence_4", "sentence_quiz1", "sentence_quiz2", "answer_right_ending"], row))
              for row in STORIES]
CASES.append(case("storycloze_2016", {"test": STORY_ROWS}, {
    "cloze_test_test__spring2016 - cloze_test_ALL_test.csv": table(STORIES, names=STORY_NAMES)}))
CASES.append(case("xstorycloze_es", {"eval": STORY_ROWS}, {
    "spring2016.val.es.tsv.split_20_80_eval.tsv": table(STORIES, "\t", STORY_NAMES)}))

HELLASWAG = [{"activity_label": "Roof [x] repair", "ctx_a": "A man is on a roof.  He [title] looks", "ctx_b": "the Man",
              "endings": [" slips [substeps] away.  Then", "works [title] on.", "İs gone ", "[header] x"], "label": "1"},
             {"activity_label": "Cooking", "ctx_a": "Two women stand.", "ctx_b": "", "endings": ["a", "b", "c", "d"],
              "label": "3"}]
CASES.append(case("hellaswag", {"validation": HELLASWAG}, {"hellaswag_val.jsonl": lines(
    [dict(row, ind=i, split_type="indomain", label=int(row["label"])) for i, row in enumerate(HELLASWAG)])}))

WINOGRANDE = [{"sentence": "Sarah was faster than Maria so _ won. ", "option1": "Sarah", "option2": "Maria", "answer": "1"},
              {"sentence": "The _ is in the box, since it is small.", "option1": "ball", "option2": "house", "answer": "1"},
              {"sentence": "He left _", "option1": "it", "option2": "them", "answer": "2"}]
CASES.append(case("winogrande", {"validation": WINOGRANDE}, {"winogrande_1.1/dev.jsonl": lines(
    [dict(row, qID=f"q{i}") for i, row in enumerate(WINOGRANDE)])}))
CASES.append(case("winogrande", {"validation": WINOGRANDE[:1], "train": WINOGRANDE[1:]}, {
    "winogrande_1.1/dev.jsonl": lines(WINOGRANDE[:1]), "winogrande_1.1/train_xl.jsonl": lines(WINOGRANDE[1:])}, shots=1))
JAPANESE = [{"sentence": "鈴木は田中に_を渡した。", "option1": "本", "option2": "箱", "answer": "2"}]
CASES.append(case("xwinograd_jp", {"test": JAPANESE}, {"xwinograd.jsonl": lines(
    [{"lang": "en", "sentence": "A _ b", "option1": "x", "option2": "y", "answer": "1"}] +
    [dict(row, lang="jp", source="test") for row in JAPANESE])}))

ARC = [{"id": f"M{i}", "question": f"What is {i}?", "choices": {"text": [f"a{i}", "b", "c"], "label": labels}, "answerKey": key}
       for i, (labels, key) in enumerate([(["A", "B", "C"], "C"), (["1", "2", "3"], "1")])]
ARC_RAW = [{"id": row["id"], "question": {"stem": row["question"], "choices": [
    {"text": t, "label": n} for t, n in zip(row["choices"]["text"], row["choices"]["label"])]},
    "answerKey": row["answerKey"]} for row in ARC]
CASES.append(case("arc_easy", {"test": ARC}, {"ARC-Easy-test.jsonl": lines(ARC)}))
CASES.append(case("arc_challenge", {"test": ARC}, {
    "ARC-V1-Feb2018-2/ARC-Challenge/ARC-Challenge-Test.jsonl": lines(ARC_RAW)}))
BOOK = [dict(row, question_stem=row["question"]) for row in ARC]
CASES.append(case("openbookqa", {"test": BOOK}, {"openbookqa.test.jsonl": lines(ARC_RAW)}))

HEAD = [{"qid": "1", "qtext": "The cells:", "ra": 3, "answers": [{"aid": i, "atext": f"Are {i}."} for i in range(1, 5)]},
        {"qid": "2", "qtext": "A plate is", "ra": 1, "answers": [{"aid": i, "atext": f"x{i}"} for i in range(1, 3)]}]
CASES.append(case("headqa_en", {"test": HEAD}, {"HEAD_EN.json": json.dumps({"version": "1.0", "language": "en", "exams": {
    "one": {"name": "one", "data": [dict(HEAD[0], ra="3", image="")]},
    "two": {"name": "two", "data": [dict(HEAD[1], ra="1", image="")]}}})}))

SCIQ = [{"question": "What is it?", "distractor3": "c", "distractor1": "a", "distractor2": "b", "correct_answer": "d",
         "support": "  It is d.\nSo."}, {"question": "Why?", "distractor3": "3", "distractor1": "1", "distractor2": "2",
                                         "correct_answer": "4", "support": ""}]
CASES.append(case("sciq", {"test": SCIQ}, {"SciQ dataset-2 3/test.json": json.dumps(SCIQ)}))

PASSAGE = "Ann met Bob Ray in Rome.\n@highlight\nAnn is from Köln\n@highlight\nBob sings\n"
SPANS = [("Ann", 0), ("Bob Ray", 8), ("Rome", 19), ("Ann", 36), ("Köln", 48)]
QUERIES = [("Then @placeholder and @placeholder's dog left", ["Bob Ray"]), ("In @placeholder it rained", ["Rome", "Köln"])]
CASES.append(case("record", {"validation": [
    {"passage": PASSAGE, "query": q, "entities": [t for t, _ in SPANS], "answers": a} for q, a in QUERIES]}, {
        "ReCoRD/val.jsonl": lines([{"source": "x", "passage": {"text": PASSAGE, "entities": [
            {"start": PASSAGE.index(t, max(0, at - 4)), "end": PASSAGE.index(t, max(0, at - 4)) + len(t) - 1}
            for t, at in SPANS]}, "qas": [
            {"query": q, "answers": [{"start": 0, "end": 0, "text": t} for t in a]} for q, a in QUERIES]}])}))

COPA = [{"premise": "The man fell. ", "choice1": "He slipped.", "choice2": "It rained.", "question": "cause", "label": 0, "idx": 0},
        {"premise": "It was late.", "choice1": "She ate.", "choice2": "She went home.", "question": "effect", "label": 1, "idx": 1}]
CASES.append(case("copa", {"validation": COPA}, {"copa.val.jsonl": lines(COPA)}))
TURKISH = [{"premise": "Adam düştü.", "choice1": "İnce bir yoldu.", "choice2": "Yağmur yağdı.", "question": "cause", "label": 1,
            "idx": 0, "changed": False}]
for language in ("et", "tr", "ta", "zh", "qu"):
    CASES.append(case(f"xcopa_{language}", {"test": TURKISH}, {f"xcopa/test.{language}.jsonl": lines(TURKISH)}))

TRIVIA = [{"question": "Who wrote it", "question_id": "t1", "answer": {"aliases": ["Ann Ray", "A. Ray"], "value": "Ann Ray"}}]
CASES.append(case("triviaqa", {"validation": TRIVIA}, {"triviaqa-rc/qa/wikipedia-dev.json": json.dumps({"Data": [
    {"Question": "Who wrote it", "QuestionId": "t1", "Answer": {"Aliases": ["Ann Ray", "A. Ray"], "Value": "Ann Ray",
                                                              "NormalizedAliases": ["ann ray"]}}]})}))

MMLU = [[f"  What is {i}+{i}? ", str(2 * i), "b, c", "c", '"d"', "ABCD"[i % 4]] for i in range(6)]
MMLU_ROWS = [{"question": r[0], "subject": "anatomy", "choices": r[1:5], "answer": "ABCD".index(r[5])} for r in MMLU]
MMLU_FILES = {"data/test/anatomy_test.csv": table(MMLU[:1]), "data/dev/anatomy_dev.csv": table(MMLU[1:])}
CASES.append(case("mmlu_anatomy", {"test": MMLU_ROWS[:1], "dev": MMLU_ROWS[1:]}, MMLU_FILES))
CASES.append(case("mmlu_anatomy", {"test": MMLU_ROWS[:1], "dev": MMLU_ROWS[1:]}, MMLU_FILES, shots=5))


FOLDERS = ["arc", "headqa", "hellaswag", "lambada", "lambada_multilingual", "mmlu/default", "openbookqa", "piqa", "sciq",
           "storycloze", "super_glue/copa", "super_glue/record", "triviaqa", "winogrande", "xcopa", "xstorycloze",
           "xwinograd"]
TASKS = pathlib.Path(lm_eval.__file__).parent / "tasks"
MANAGER = TaskManager(include_path=[str(TASKS / folder) for folder in FOLDERS], include_defaults=False)


def prompts(one):
    splits = {name: datasets.Dataset.from_list(rows) for name, rows in one["splits"].items()}

    def download(self, *args, **kwargs):
        self.dataset = splits
        # Splits that this case does not have are not read for nothing.
        for field in ("training_split", "validation_split", "test_split", "fewshot_split"):
            if getattr(self.config, field) not in splits:
                setattr(self.config, field, None)
        self.fewshot_cfg.split = self.config.fewshot_split

    harness.ConfigurableTask.download = download
    task = MANAGER.load([one["task"]])["tasks"][one["task"]]
    task.set_config("num_fewshot", one["shots"])
    task.set_fewshot_seed(1234)
    task.build_all_requests(rank=0, world_size=1)
    out = {}
    for instance in task.instances:
        found = out.setdefault(instance.doc_id, {"pairs": [], "prompt": ""})
        if instance.request_type == "generate_until":
            found["prompt"] = instance.args[0]
        else:
            found["pairs"].append(list(instance.args))
    return [out[i] for i in sorted(out)]


for one in CASES:
    one["documents"] = prompts(one)
    del one["splits"]
json.dump(CASES, sys.stdout, ensure_ascii=False, indent=1)
print()
