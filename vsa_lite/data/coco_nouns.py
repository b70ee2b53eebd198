"""Which nouns name which of COCO's 80 categories, as people write them in captions.

A category is followed by its nouns in the singular, parted by commas. Plurals are made by rule; those that the rule
would not make stand behind a slash. A noun that stands at several categories ("bike") is ambiguous: whoever uses this
table must ask the picture which one is there.
"""

from __future__ import annotations

from collections import defaultdict

NOUNS = """
person: person/people, man/men, woman/women, boy, girl, child/children, kid, baby, toddler, infant, teenager, teen,
  adult, guy, dude, lady, gentleman/gentlemen, player, ball player, baseball player, surfer, skier, snowboarder,
  snow boarder, skateboarder, skate boarder, skater, boarder, swimmer, rider, equestrian, jockey, cyclist, bicyclist,
  biker, motorcyclist, batter, hitter, pitcher, catcher, umpire, referee, goalie, athlete, worker, chef, baker,
  waiter, waitress, vendor, customer, shopper, farmer, fisherman/fishermen, cowboy, businessman/businessmen,
  policeman/policemen, policewoman/policewomen, police officer, officer, fireman/firemen, firefighter, soldier,
  passenger, pedestrian, tourist, student, teacher, spectator, onlooker, bystander, crowd, bride, groom, friend,
  family, mother, father, mom, dad, parent, son, daughter, brother, sister, husband, wife/wives, grandmother,
  grandfather, married couple, young couple, elderly couple, older couple, nice couple
bicycle: bicycle, bike, mountain bike, road bike
car: car, taxi, cab, suv, sedan, minivan, automobile, convertible, hatchback, jeep, police car, van
motorcycle: motorcycle, motorbike, motor bike, motor cycle, dirt bike, moped, scooter, bike
airplane: airplane, plane, aeroplane, aircraft/aircraft, jet, jetliner, airliner, jumbo jet, seaplane, biplane
bus: bus/buses/busses, double decker, double decker bus/double decker buses, minibus
train: train, locomotive, steam engine, train engine, train car, tram, trolley
truck: truck, pickup, pickup truck, pick up truck, fire truck, firetruck, fire engine, dump truck, tow truck,
  utility truck, food truck, truck bed, van
boat: boat, ship, sailboat, sail boat, rowboat, row boat, speedboat, speed boat, motorboat, motor boat, tugboat,
  fishing boat, canoe, kayak, ferry, yacht, barge, dinghy
traffic light: traffic light, traffic signal, stop light, stoplight
fire hydrant: fire hydrant, hydrant, fireplug
stop sign: stop sign
parking meter: parking meter
bench: bench, park bench
bird: bird, seagull, gull, pigeon, dove, duck, goose/geese, swan, parrot, vulture, owl, eagle, hawk, crow, sparrow,
  pelican, penguin, flamingo, peacock, ostrich/ostriches, hummingbird, turkey
cat: cat, kitten, kitty
dog: dog, puppy, pup, doggy, poodle, bulldog, pit bull, pit bull dog, labrador, retriever, golden retriever, terrier,
  dachshund, beagle, husky, corgi, chihuahua, german shepherd, dalmatian, collie, pug, spaniel, hound, greyhound
horse: horse, pony, foal, colt, mare, stallion
sheep: sheep/sheep/sheeps, lamb, ram, ewe
cow: cow, cattle/cattle, bull, calf/calves, ox/oxen, steer
elephant: elephant/elephants/elephant
bear: bear, polar bear, black bear, brown bear, grizzly, grizzly bear, cub, bear cub
zebra: zebra/zebras/zebra
giraffe: giraffe/giraffes/giraffe
backpack: backpack, back pack, rucksack
umbrella: umbrella, parasol
handbag: handbag, hand bag, purse
tie: tie, necktie, neck tie, bow tie
suitcase: suitcase, suit case, luggage, baggage
frisbee: frisbee, frisbee disc, disc
skis: skis/skis
snowboard: snowboard, snow board, board
sports ball: ball, tennis ball, soccer ball
kite: kite
baseball bat: baseball bat, bat
baseball glove: baseball glove, baseball mitt, catchers mitt, mitt
skateboard: skateboard, skate board, board
surfboard: surfboard, surf board, board
tennis racket: tennis racket, tennis racquet, racket, racquet
bottle: bottle
wine glass: wine glass, wineglass, glass of wine/glasses of wine, champagne glass
cup: cup, mug, coffee cup, glass of water/glasses of water, glass of milk/glasses of milk,
  glass of juice/glasses of juice, glass of beer/glasses of beer
fork: fork
knife: knife/knives
spoon: spoon
bowl: bowl
banana: banana
apple: apple
sandwich: sandwich, burger, hamburger, cheeseburger
orange: oranges/oranges, orange slice
broccoli: broccoli/broccoli, broccolli/broccolli
carrot: carrot
hot dog: hot dog, hotdog
pizza: pizza, pizza pie
donut: donut, doughnut
cake: cake, cupcake, wedding cake, birthday cake
chair: chair, armchair, arm chair, office chair, lawn chair
couch: couch, sofa, loveseat, love seat
potted plant: potted plant, plant, houseplant, house plant, potted flower
bed: bed
dining table: dining table, dining room table, dinner table, table, picnic table, coffee table, end table, table top
toilet: toilet, toilette, toilet bowl, toilet seat, commode
tv: tv, television, monitor, computer monitor, computer screen, flat screen, flat screen tv, computer
laptop: laptop, lap top, laptop computer, macbook, macbook laptop, apple laptop, laptop screen, computer
mouse: mouse/mice, computer mouse/computer mice
remote: remote, remote control, tv remote, controller, game controller, wii controller, wii remote,
  wii game controller
keyboard: keyboard, computer keyboard
cell phone: cell phone, cellphone, mobile phone, smartphone, smart phone, phone
microwave: microwave, microwave oven
oven: oven, stove, stove top, stovetop
toaster: toaster
sink: sink
refrigerator: refrigerator, fridge, freezer
book: book
clock: clock
vase: vase
scissors: scissors/scissors
teddy bear: teddy bear, teddy, stuffed bear
hair drier: hair dryer, hair drier, hairdryer, blow dryer
toothbrush: toothbrush, tooth brush
"""

# phrases that hold one of the nouns but name something else; longest match first, so they shadow the noun
TRAPS = """
man made, pitcher of, dvd player, cd player, record player, mp3 player, music player,
video player, ball game, ball park, ball field, bike rack, bike lane, bike path, bike helmet, bus stop, bus station,
bus driver, bus lane, train station, train track, train platform, train yard, train set, train depot, truck driver,
car door, car window, car seat, car mirror, cable car, boat dock, boat ramp, boat house, gravy boat, bird house,
bird bath, bird cage, bird feeder, cat food, cat bed, dog bowl, dog food, dog bed, dog house, dog park, dog leash,
dog collar, sheep dog, horse drawn, horse trailer, rocking horse, saw horse, elephant trunk, zebra crossing,
zebra enclosure, luggage tag, luggage cart, luggage rack, luggage carousel, kite flying, kite board, kite boarding,
kite surfing, skateboard park, skateboard ramp, skateboard trick, cutting board, board game, bottle opener,
bottle cap, cup holder, fork lift, knife block, banana tree, apple computer, apple tree, pizza box, pizza cutter,
pizza pan, pizza oven, doughnut making, donut shop, doughnut shop, cake stand, wheel chair, chair lift, flower bed,
bed of, bed sheet, bed spread, pool table, ping pong table, billiard table, table tennis, table cloth, toilet paper,
toilet brush, tv stand, computer desk, computer mouse pad, mouse pad, mickey mouse, remote area, remote location,
remote controlled, phone booth, phone line, telephone line, oven mitt, book shelf, book store, book bag, clock tower,
power plant
"""

# "baby elephant", "mother bear": one animal, and no person
AGES = ("baby", "adult", "mother", "father", "mom", "teen")
ANIMALS = ("bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe")


def plural(noun: str) -> str:
    """The regular plural: "bench" to "benches", "puppy" to "puppies"."""
    if noun.endswith(("s", "x", "ch", "sh")):
        return f"{noun}es"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}s"


def noun_table() -> dict[tuple[str, ...], frozenset[str]]:
    """Noun phrases as tokens, each with the categories that it may name: none for a trap, several if ambiguous."""
    table = defaultdict(set)
    for line in NOUNS.replace("\n  ", " ").strip().splitlines():
        category, nouns = line.split(":")
        for entry in nouns.split(","):
            singular, *plurals = entry.strip().split("/")
            for form in (singular, *(plurals or [plural(singular)])):
                table[tuple(form.split())].add(category)
                if category in ANIMALS:
                    for age in AGES:
                        table[(age, *form.split())].add(category)
    for entry in TRAPS.replace("\n", " ").split(","):
        for form in (entry.strip(), plural(entry.strip())):
            table[tuple(form.split())] = set()
    return {phrase: frozenset(categories) for phrase, categories in table.items()}
