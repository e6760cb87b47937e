// The tasks that the 14B release showed, as ready prompts. Those with a text to read say what to do
// before it and after it.

import { language } from "./i18n.ts";

export interface Task {
  name: string;
  prompt: string;
}

const en: Task[] = [
  { name: "Sentiment", prompt: `Is the mood of this review positive, negative or mixed? Answer with one word, then give the reason in one sentence.
Review: The room was small and the lift was out of order, but the staff carried our bags up four floors with a smile, and the breakfast was the best of our trip.
Is the mood of this review positive, negative or mixed?` },
  { name: "Reading comprehension", prompt: `Read the text to answer: why did the keeper stay awake, and what did the ship carry?
Text: On the night of the storm the keeper of the lighthouse did not sleep. The wick had been cut too short, and every half hour he climbed the stairs to trim it. Towards morning a ship loaded with oranges passed the rocks so close that he could hear the sailors talk.
Why did the keeper stay awake, and what did the ship carry?` },
  { name: "Prose poem", prompt: "Write a prose poem of about 150 words about the last train of the evening leaving a small station in the rain." },
  { name: "Read and mend code", prompt: `Say what this Python function should do, find the mistake, and write the corrected function.
\`\`\`python
def median(values):
    values.sort()
    middle = len(values) // 2
    if len(values) % 2 == 1:
        return values[middle]
    return (values[middle] + values[middle + 1]) / 2
\`\`\`
Say what it should do, find the mistake, and write the corrected function.` },
  { name: "Paper topics in finance", prompt: "Suggest five topics for a master's thesis in finance. For each give a title, the question that it answers in one sentence, and the data that it needs." },
  { name: "Key points of news", prompt: `List the key points of this news item in three lines.
News: The city council voted on Tuesday to close the old harbour bridge to cars from next spring. Buses, bicycles and pedestrians may still cross. The council expects traffic on the ring road to grow by eight per cent and has set aside four million for new crossings there. Shop owners near the bridge fear for their customers; a review is due after one year.
List the key points in three lines.` },
  { name: "Grow a text from a sentence", prompt: "Write a story of about 300 words that begins with this sentence: The clockmaker's daughter was the only one in town who noticed that noon came a minute early." },
  { name: "A snake game in Python", prompt: "Write the game Snake in Python with pygame: arrow keys to steer, food that makes the snake longer, a score, and an end when it hits the wall or itself. Give the whole program." },
];

const zh: Task[] = [
  { name: "情感分析", prompt: `判断这条评论的情感是正面、负面还是混合。先用一个词回答，再用一句话说明理由。
评论：房间很小，电梯也坏了，但是服务员笑着把我们的行李搬上了四楼，早餐是整个旅途中最好吃的一顿。
这条评论的情感是正面、负面还是混合？` },
  { name: "阅读理解", prompt: `读下面的文章并回答：守塔人为什么没有睡？船上装的是什么？
文章：暴风雨的那个夜晚，灯塔的守塔人没有睡觉。灯芯剪得太短了，每隔半小时他都要爬上楼梯去修剪。天快亮的时候，一艘装满橙子的船贴着礁石驶过，近得能听见水手们说话。
守塔人为什么没有睡？船上装的是什么？` },
  { name: "散文诗", prompt: "写一首约两百字的散文诗，写雨中小站开出的最后一班列车。" },
  { name: "读代码并改错", prompt: `说明这个 Python 函数应该做什么，找出错误，并写出改正后的函数。
\`\`\`python
def median(values):
    values.sort()
    middle = len(values) // 2
    if len(values) % 2 == 1:
        return values[middle]
    return (values[middle] + values[middle + 1]) / 2
\`\`\`
说明它应该做什么，找出错误，并写出改正后的函数。` },
  { name: "金融论文选题", prompt: "为金融专业的硕士论文推荐五个题目。每个题目写出标题、用一句话说明要回答的问题，以及所需的数据。" },
  { name: "新闻要点", prompt: `用三行列出这条新闻的要点。
新闻：市议会周二投票决定，从明年春天起，旧港口大桥禁止汽车通行，公交车、自行车和行人仍可通过。市议会预计环路的车流量将增加百分之八，并拨款四百万用于在那里修建新的过街设施。大桥附近的店主担心客人减少，一年之后将重新评估。
用三行列出要点。` },
  { name: "由一句话扩写", prompt: "以这句话开头，写一篇约五百字的故事：全镇只有钟表匠的女儿发现，正午提前了一分钟到来。" },
  { name: "Python 贪吃蛇", prompt: "用 Python 和 pygame 写一个贪吃蛇游戏：方向键控制，吃到食物变长，显示分数，撞墙或撞到自己时结束。给出完整的程序。" },
];

export const tasks = (): Task[] => (language.value === "zh" ? zh : en);
