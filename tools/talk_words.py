"""Words that tools/make-talks makes its talks of."""

ANIMALS = """fox wolf lion bear hare rabbit hedgehog mouse rat cat kitten dog puppy horse pony
donkey ass mule cow ox bull calf sheep lamb ram goat kid pig sow boar hen cock rooster chicken
duck duckling goose swan crow raven eagle hawk owl sparrow swallow robin wren lark nightingale
dove pigeon peacock parrot stork heron crane gull pelican turkey thrush magpie cuckoo frog toad
tortoise turtle snake lizard crocodile elephant monkey ape leopard tiger panther hyena jackal
camel zebra giraffe hippopotamus rhinoceros buffalo antelope gazelle deer stag fawn hind squirrel
badger beaver weasel mole bat spider ant bee wasp fly beetle grasshopper cricket butterfly moth
snail worm caterpillar crab fish salmon trout pike whale dolphin shark seal octopus lobster
dragon unicorn griffin phoenix kangaroo ostrich cheetah porcupine mongoose canary finch starling
blackbird linnet kingfisher vole gnat flea bird chameleon baboon gorilla jaguar moose reindeer
penguin walrus eel goldfish herring firefly ladybird woodpecker vulture falcon gander foal mare
colt terrier hound sheepdog otter""".split()

_MEN = """king prince farmer miller tailor shoemaker fisherman woodcutter huntsman hunter soldier
sailor captain pirate merchant beggar thief robber wizard giant dwarf ogre blacksmith smith baker
butcher shepherd ploughman gardener cook minister priest monk hermit judge doctor teacher painter
fiddler piper drummer carpenter weaver potter barber knight duke emperor sultan lord squire page
servant coachman groom postman policeman fireman clown juggler tinker peddler charcoal-burner
ferryman innkeeper grandfather father uncle husband brother son bridegroom man youth carter mason
cobbler goldsmith clockmaker lamplighter sweep stranger traveller watchman driver trader chief fool
magician goatherd scholar porter woodman minstrel sexton wheelwright""".split()
_WOMEN = """queen princess witch fairy mermaid maiden washerwoman milkmaid grandmother mother aunt
wife sister daughter stepmother widow bride woman lady nurse duchess empress seamstress governess
godmother goose-girl cook-maid enchantress shepherdess spinner dancer singer maid landlady
sorceress midwife""".split()
_CHILDREN = """boy girl child baby orphan twin schoolboy schoolgirl elf goblin gnome brownie imp
lad lass urchin toddler pupil newsboy cabin-boy apprentice""".split()
PEOPLE = {w: "man" for w in _MEN} | {w: "woman" for w in _WOMEN} | {w: "child" for w in _CHILDREN}

THINGS = """tree oak apple pear rose lily flower seed leaf forest garden river lake sea island
mountain hill stone rock cave well bridge road mill house cottage castle tower palace door gate
window lamp lantern candle fire stove kettle pot pan spoon knife fork cup bowl jug bottle barrel
basket box chest bag purse coin ring crown necklace mirror comb needle thimble scissors thread
spindle wheel cart carriage train ship boat sail anchor raft balloon kite drum flute fiddle
violin bell whistle trumpet harp book letter pen picture map clock watch key lock rope ladder
hammer axe saw spade broom bucket umbrella hat cap coat cloak shoe boot stocking glove shirt
dress ribbon button doll toy top ball puppet feather egg nest cake loaf pie pumpkin cabbage bean
turnip potato carrot cheese star moon sun cloud wind rain snow snowflake snowman scarecrow statue
sword shield arrow bow gun cannon flag chair table bed pillow blanket carpet sack wagon sledge
treasure diamond pearl telescope teapot wand pipe bicycle bus hut shell snowball chimney fountain
weathercock scarf mitten pebble acorn nut mushroom school tent windmill lighthouse piano pencil
candlestick jar tin bench fence swing cradle marble firework""".split()
GIRLS = """Anne Mary Alice Lucy Jane Emily Betsy Molly Nancy Polly Dorothy Sara Ellen Rose Daisy
Kate Susan Grace Clara Flora Hannah Martha Ruth Lily Ivy Hazel Nora Agnes Bella Cora Dinah Edith
Fanny Greta Hilda Ida Judith Kitty Laura Mabel Nell Olive Pearl Rachel Sophie Tilly Ursula Vera
Winnie Zoe Amina Fatima Zuri Akinyi Nomsa Thandi Wanjiku Marie Elsa Ingrid Anna Eva Lena Maya
Nina Rita Tina Carol Diana Elena Helen Irene Joan Karen Linda Maria Olga Paula Sally Tess Violet
Wendy Annie Becky Cecily Esther Jenny Julia Maggie Minnie Peggy Phyllis Rosa Sylvia Tamar Ada
Beth Dora Effie Florence Gwen Harriet""".split()
BOYS = """Tom Jack Peter John Harry George Robert Cyril Will Hans Fritz Colin Ben Sam Joe Dick
Ned Oliver Oscar Oswald Philip Ralph Roger Simon Toby Victor Walter Adam Albert Alec Arthur Basil
Charles Conrad Daniel David Edmund Edward Felix Frank Fred Gerald Gilbert Giles Henry Hugh Hugo
Isaac Ivan Jacob James Jasper Jim Kofi Juma Thabo Sipho Otieno Kamau Leo Lewis Luke Mark Martin
Matthew Max Michael Miles Moses Nat Nicholas Noel Owen Patrick Paul Percy Rex Richard Robin Rufus
Silas Stephen Theo Thomas Timothy Vincent Wilfred Andrew Anton Boris Carl Dan Eric Finn Gus
Herbert Ian Jimmy Ken Laurie Ludwig""".split()
# What words are made up of.
ONSETS = """b c d f g h j k l m n p r s t v w y z bl br ch cl cr dr fl fr gl gr pl pr sc sh sl sn sp st
str sw th tr wh""".split() + [""]
VOWELS = "a a a e e e i i i o o o u u y ai ea ee ie oa oo ou".split()
CODAS = "n n r r l l m s t d k p g x b ck ff ll nd ng nk nt rd rk rn rt sh ss st th".split() + [""] * 14
# Capitalised, and no names of heroes.
NOT_NAMES = set("""The And But For God Lord Heaven Sunday Monday Tuesday Wednesday Thursday Friday
Saturday January February March April May June July August September October November December
Christmas Easter English French German Indian Africa England London France America Paris Oz Mr Mrs
Miss Sir Lady Aunt Uncle Captain Doctor King Queen Prince Princess North South East West Europe
India Latin Bible Greek Majesty Highness Spanish Egypt Green Gables Avonlea Spain Rome Street Road
House Castle Kansas Emerald Latin Roman Irish Scotch American Dutch Nature Death Time Fate Love
Father Mother Dear Papa Mamma Marmee Nesbit Mississippi Missouri Redmond Thames Nome Winkie
Munchkin River Wood Wild Island Bristol""".split())

IRREGULAR = dict(pair.split(":") for pair in """
go:went come:came say:said see:saw take:took give:gave tell:told make:made find:found think:thought
get:got know:knew become:became leave:left feel:felt bring:brought begin:began keep:kept hold:held
write:wrote stand:stood hear:heard let:let mean:meant set:set meet:met run:ran pay:paid sit:sat
speak:spoke lie:lay lead:led grow:grew lose:lost fall:fell send:sent build:built
understand:understood draw:drew break:broke spend:spent cut:cut rise:rose drive:drove buy:bought
wear:wore choose:chose eat:ate drink:drank fly:flew forget:forgot hide:hid hit:hit hurt:hurt
ride:rode ring:rang shake:shook shoot:shot shut:shut sing:sang sink:sank sleep:slept steal:stole
strike:struck swim:swam teach:taught tear:tore throw:threw wake:woke win:won bite:bit blow:blew
catch:caught creep:crept dig:dug feed:fed fight:fought flee:fled forgive:forgave freeze:froze
hang:hung lay:laid lend:lent light:lit put:put read:read sell:sold shine:shone spin:span
spring:sprang stick:stuck sting:stung swear:swore sweep:swept weep:wept bind:bound bend:bent
bear:bore beat:beat cast:cast cling:clung deal:dealt do:did have:had fling:flung kneel:knelt
seek:sought slay:slew spread:spread split:split swing:swung tread:trod weave:wove wind:wound
withdraw:withdrew burst:burst be:was cost:cost forbid:forbade overhear:overheard behold:beheld
bid:bade leap:leapt slide:slid spit:spat undo:undid""".split())

# No verbs of a question, though the texts have `to rest`, `to name`.
NO_VERBS = """father mother church bed school town supper dinner sea her his him them whom fish
cook fool master guard name rest water ship lord host ferry heir dress judge nurse page wood to the
that and for like land place hand head eye face house fire light horse man men people king love
work play sleep part one two some all each lady robe""".split()

MOODS = """sad happy angry glad lonely hungry tired afraid clever proud lazy greedy kind brave poor
wise foolish vain merry cross frightened pleased sorry thirsty sleepy gentle curious naughty good
honest unhappy""".split()

QUALITIES = """sad happy angry glad lonely hungry tired afraid clever proud lazy greedy kind brave
poor rich old young little big small white black red grey golden silver brown blue green wise
foolish vain merry cross frightened pleased delighted sorry thirsty sleepy beautiful ugly strong
weak lame blind gentle curious naughty wicked good honest surprised astonished ashamed unhappy cold
ill""".split()

SAD = """sad sadly sorrow wept weep weeping cried tears died dead death poor lonely alone grief
grieved unhappy mourned miserable lost buried bitterly""".split()
GLAD = """happy happily glad gladly laughed laughing joy joyful merry delighted danced dancing
smiled feast wedding sang rejoiced pleased""".split()

PLACES = [
    "in a forest", "by the sea", "in a small house", "on a hill", "in a village",
    "near a river", "in a garden", "under a bridge", "at the edge of the wood",
    "in a great city", "on an island", "in the mountains", "beside a lake", "in an old mill",
    "by the road", "in a far country", "on a farm", "in a castle", "in a cave", "at the market"]

GREETINGS = (
    ["Hello", "Hello!", "Hi", "Good morning", "Good evening!", "Hi there", "Hey", "Good day.",
     "How are you?", "Hello, how are you?"],
    ["Hello! I am a small storyteller. Ask me for a story about {x}.",
     "Good day! Shall I tell you a story? I could tell one about {x} or about {y}.",
     "Hello! I tell stories. You could ask for one about {x}, {y} or {z}.",
     "I am well, and I have a story for you. Shall it be about {x}?"])
SELF = (
    ["Who are you?", "What are you?", "What can you do?", "What is your name?", "Help",
     "What should I ask you?", "What can I ask?", "Are you a person?", "Are you an AI?",
     "Tell me about yourself."],
    ["I am a small storyteller. Ask me for a story about {x}, then say: go on.",
     "I am Linnet, a very small language model. I can tell you a story about {x}.",
     "I am a little program that tells stories. Ask for one about {x} or {y}.",
     "I tell stories, and I answer questions about them. Try one about {x}."])
OFF_TOPIC = (
    ["What is 2 + 2?", "What is the capital of France?", "Write a program in Python.",
     "What is the weather today?", "Who is the president?", "Translate this into French.",
     "How do I cook rice?", "What is the time?", "Who won the match?", "Solve this equation.",
     "What is quantum physics?", "How far is the moon?", "Write me an email.",
     "What do you think of politics?", "How do I install Linux?", "What is 17 times 23?",
     "When was the war?", "Give me a recipe.", "Who wrote this program?", "Explain gravity."],
    ["I do not know; I know only stories. Shall I tell you one about {x}?",
     "I am only a small storyteller and cannot answer that. Ask me for a story about {x}.",
     "That I cannot say. But I can tell you a story about {x}.",
     "I know nothing of that. I know stories: ask me for one about {x} or {y}."])

TELLERS = {  # file: how a request names its teller
    "aesop": ["Aesop", "Aesop"], "jacob-grimm": ["the brothers Grimm", "Grimm"],
    "rudyard-kipling": ["Kipling", "the Just So Stories"],
    "beatrix-potter": ["Beatrix Potter", "Beatrix Potter"],
    "e-nesbit": ["E. Nesbit", "Edith Nesbit"], "george-macdonald": ["George MacDonald"] * 2,
    "kenneth-grahame": ["Kenneth Grahame", "The Wind in the Willows"],
    "l-frank-baum": ["L. Frank Baum", "the Oz books"], "mark-twain": ["Mark Twain"] * 2,
    "lewis-carroll": ["Lewis Carroll"] * 2, "robert-louis": ["Stevenson", "Treasure Island"],
    "j-m-barrie": ["J. M. Barrie", "Peter Pan"], "asp_en": ["an African village", "African tales"],
    "fairytaleqa": ["the old fairy tales", "a fairy tale"],
}

# How people ask. {x}: a fox, {s}: the fox, {p}: foxes; {t}, {u}: a teller; {b}: how it begins.
ASK = ["Tell me a story about {x}.", "Tell me a story about {x}.", "Tell me a story about {x}.",
       "Tell a story about {x}.", "Please tell me a story about {x}.", "Tell me a tale about {x}.",
       "Can you tell me a story about {x}?", "I would like a story about {x}.",
       "I want to hear a story about {x}.", "A story about {x}, please.", "Tell me about {x}.",
       "Do you know a story about {x}?", "Tell us a story of {x}.", "Write a story about {x}.",
       "Make up a story about {x}.", "Let me hear a tale of {x}.",
        "Could you tell a story about {x}?",
       "Give me a story with {x} in it.", "Is there a story about {x}?", "{X}, please.",
       "Tell me something about {x}.", "Hello! Tell me a story about {x}.", "Tell the tale of {x}.",
       "I like {p}. Tell me a story.", "A new story: {x}.",
       "Story about {x}", "Another story, about {x}.",
       "Tell me a story in which there is {x}.", "Now tell me one about {x}.",
       "What do you know about {x}?", "Tell my child a story about {x}.", "A tale of {x}!"]
# For a few sentences, so that other requests are known to want a story.
FEW = ["In a few words: {x}.", "Tell me in three sentences about {x}.", "Say a few words about {x}.",
       "Describe {x}.", "Introduce {x}.", "In short, what about {x}?", "A few lines about {x}, please.",
       "Begin a story about {x}.", "How does the story of {x} begin?", "Start a tale of {x}.",
       "The beginning of a story about {x}, please.", "Only begin: {x}.",
       "Give me the first line of a story about {x}."]
SHORT = ["Tell me a short story about {x}.", "A short story about {x}, please.",
         "Tell me a little story about {x}.", "Tell me a story about {x}, but keep it short.",
         "Tell me a very short tale about {x}."]
LONG = ["Tell me a long story about {x}.", "A long story about {x}, please.",
        "Tell me a story about {x}, and make it long.", "Tell me a good long tale about {x}."]
MANNER = ["Tell me a story about {x} in the manner of {t}.", "Tell me a story about {x}, like {t}.",
          "A story about {x}, as in {u}.", "Tell a tale of {x} as {t} would."]
START = ["Tell me a story about {x} that begins: {b}",
         "Tell a story about {x}. Begin with “{b}”",
         "Start a story about {x} with “{b}”"]
GO_ON = ["Go on.", "Go on.", "Go on.", "And then?", "And then?", "What happened next?",
         "Then what happened?", "Continue.", "More, please.", "Tell me more.", "Please go on.",
         "Go on with the story.", "And what happened then?", "What then?", "What next?",
         "Tell me what {s} did next.", "What did {s} do then?", "Tell me more about {s}.",
         "And {s}?", "Is that all?", "Don't stop!", "I want to hear the rest.", "Keep going."]
# Of long talks only.
GO_ON_MORE = ["How did it go on?", "How does the story go on?", "Continue, please.", "Please continue it.",
              "What came after that?", "And then, what?", "What did {s} do next?", "And after that?",
              "What did {s} do after this?", "Go on with the tale.", "Go on about {s}.", "So what then?"]
SADDER = ["Tell it sadder.", "Make it sadder.", "Tell it again, but sadder.",
          "A sadder one, please.",
          "Now a sad one.", "Tell me a sad story about {s}.", "That was too merry. Tell it sadder."]
GLADDER = ["Tell it happier.", "Make it happier.", "Tell it again, but merrier.",
          "A happy one, please.",
           "Tell me a happy story about {s}.", "That was too sad. Tell it happier."]
ANY = ["Tell me a story.", "Tell me a fairy tale.", "A story, please.", "I want a story.",
       "Tell me any story you like.", "Tell me another story.", "Tell a story"]
ANEW = ["Tell me another story about {s}.", "Another one.", "Tell me another.",
          "One more about {s}.",
        "Again, please.", "Tell it in another way.", "Another story, please."]
LONGER = ["Make it longer.", "Tell it longer.", "A longer one, please."]
SHORTER = ["Make it shorter.", "Tell it shorter.", "A shorter one, please."]
# What is told of a hero at once: {t}: the fox, {x}: an animal or a thing, {y}: an animal, {q}: a mood; and the
# questions that it answers.
FIRST_FACTS = [
    ("{T} was very {q}.", "How did {t} feel?", "What was {t} like?", "Was {t} {q}?"),
    ("{T} was {q} and {r}.", "What was {t} like?", "How did {t} feel?"),
    ("{T} lived {at}.", "Where did {t} live?"),
    ("{T} went out to look for {x}.", "What did {t} look for?", "What did {t} do?"),
    ("One day {t} met {y}.", "Who did {t} meet?", "What did {t} meet?"),
    ("{T} had {x}.", "What did {t} have?"),
    ("{T} wanted {x}.", "What did {t} want?"),
    ("{T} found {x} {at}.", "What did {t} find?", "Where did {t} find {x}?"),
    ("{T} was {q}, for {y} had gone away.", "Why was {t} {q}?", "How did {t} feel?"),
    ("{T} saw {x} {at}.", "What did {t} see?", "Who did {t} see?"),
    ("{T} went to see {y}.", "Where did {t} go?", "What did {t} do?"),
    ("{T} dreamed of {x}.", "What did {t} dream of?"),
    ("“I am {q},” said {t}.", "What did {t} say?")]
# The hero is named soon, which makes it easy to take it from the request.
SOON = ["Once upon a time there was {x}.", "Once upon a time there was {x}.", "There was once {x}.",
        "Once there was {x}.", "Once upon a time there was {x} who lived {at}.",
        "There was once {x} who lived {at}."]
OPENINGS = ["Once upon a time there was {x}.", "There was once {x}.", "Once there was {x}.",
            "There was once {x} who lived {at}.", "Once upon a time there lived {x} {at}.",
            "Long ago, {at}, there was {x}.", "This is the story of {x}.", "One day {x} was {at}.",
            "Far away, {at}, there was {x}.", "In the old days there was {x} {at}."]
# How a story ends.
ENDINGS = ["And that is the story of {t}.", "So ends the story of {t}.", "And that is all about {t} for now."]
