"""The words of the scenes' sentences: nouns and what they name, relations, places, and patterns of sentences."""

# noun: (plural, kinds that it names, the size that it implies)
NOUNS = {
    "cat": ("cats", ("cat",), ""),
    "kitten": ("kittens", ("cat",), "small"),
    "kitty": ("kitties", ("cat",), ""),
    "dog": ("dogs", ("dog",), ""),
    "puppy": ("puppies", ("dog",), "small"),
    "rabbit": ("rabbits", ("rabbit",), ""),
    "bunny": ("bunnies", ("rabbit",), ""),
    "horse": ("horses", ("horse",), ""),
    "pony": ("ponies", ("horse",), "small"),
    "bird": ("birds", ("bird",), ""),
    "child": ("children", ("child",), ""),
    "kid": ("kids", ("child",), ""),
    "chair": ("chairs", ("chair",), ""),
    "seat": ("seats", ("chair",), ""),
    "table": ("tables", ("table",), ""),
    "desk": ("desks", ("table",), ""),
    "sofa": ("sofas", ("sofa",), ""),
    "couch": ("couches", ("sofa",), ""),
    "lamp": ("lamps", ("lamp",), ""),
    "light": ("lights", ("lamp",), ""),
    "car": ("cars", ("car",), ""),
    "automobile": ("automobiles", ("car",), ""),
    "bus": ("buses", ("bus",), ""),
    "bicycle": ("bicycles", ("bicycle",), ""),
    "bike": ("bikes", ("bicycle",), ""),
    "boat": ("boats", ("boat",), ""),
    "sailboat": ("sailboats", ("boat",), ""),
    "tree": ("trees", ("tree",), ""),
    "flower": ("flowers", ("flower",), ""),
    "blossom": ("blossoms", ("flower",), ""),
    "ball": ("balls", ("ball",), ""),
    "kite": ("kites", ("kite",), ""),
    "balloon": ("balloons", ("balloon",), ""),
    "teddy bear": ("teddy bears", ("teddy bear",), ""),
    "teddy": ("teddies", ("teddy bear",), ""),
    "umbrella": ("umbrellas", ("umbrella",), ""),
    "parasol": ("parasols", ("umbrella",), ""),
    "animal": ("animals", ("cat", "dog", "rabbit", "horse", "bird"), ""),
    "toy": ("toys", ("ball", "kite", "teddy bear", "balloon"), ""),
}
SIZES = {"small": ("small", "little"), "big": ("big", "large")}
NUMBERS = {2: "two", 3: "three", 4: "four"}
BEINGS = ("cat", "dog", "rabbit", "horse", "bird", "child")  # they do what they do on purpose
RELATIONS = {
    "on": ("on", "on", "on top of"),
    "under": ("under", "under", "underneath", "beneath"),
    "in": ("in", "inside"),
    "riding": ("riding", "riding", "on"),
    "holding": ("holding", "holding", "with"),
    "leaning": ("leaning on", "leaning against"),
    "next": ("next to", "beside", "near", "close to"),
    "left": ("to the left of", "left of"),
    "right": ("to the right of", "right of"),
    "front": ("in front of",),
    "behind": ("behind",),
    "above": ("above", "over"),
}
# relations that hold between two things only because they were put together so; the others follow from where they stand
TOLD = ("on", "under", "in", "riding", "holding", "leaning")
PLACES = {
    "park": ("in the park", "in a park", "at the park"),
    "beach": ("at the beach", "by the sea", "at the seaside"),
    "room": ("in the room", "in the living room", "indoors", "at home"),
    "street": ("in the street", "in the city", "in town"),
}
FLOORS = {
    "park": ("on the grass", "on the lawn"),
    "beach": ("on the sand",),
    "room": ("on the floor",),
    "street": ("on the street",),
}
WEATHER = {"sunny": ("on a sunny day",), "cloudy": ("on a cloudy day",), "evening": ("in the evening", "at sunset")}
DOING = {
    "sitting": ("sitting", "sitting", "resting"),
    "standing": ("standing",),
    "sleeping": ("sleeping", "sleeping", "napping"),
    "grazing": ("grazing",),
    "waving": ("waving",),
    "flying": ("flying",),
}

# {A} {B} {C}: things; {rel}: what A is to B; {do}: what A does; {in}: the setting; {floor}: the ground; {day}: weather
PAIRS = (
    "{A} is {rel} {B}",
    "{A} {rel} {B}",
    "{A} {rel} {B} {in}",
    "there is {A} {rel} {B}",
    "there is {A} {rel} {B} {in}",
    "{in} , {A} is {rel} {B}",
    "a picture of {A} {rel} {B}",
    "we can see {A} {rel} {B}",
    "{A} is {rel} {B} {in}",
    "{day} , {A} is {rel} {B}",
    "{A} , {rel} {B}",
    "look , there is {A} {rel} {B}",
    "here is {A} {rel} {B}",
)
DOING_PAIRS = ("{A} is {do} {rel} {B}", "{A} {do} {rel} {B}", "{A} {do} {rel} {B} {in}", "{in} , {A} is {do} {rel} {B}")
TURNED = {
    "on": ("{B} with {A} on it", "{B} with {A} on top", "there is {B} with {A} on it {in}"),
    "under": ("{B} with {A} under it", "{A} hides under {B}"),
    "in": ("{B} with {A} in it", "{B} with {A} inside"),
    "riding": ("{A} rides {B}", "{A} rides {B} {in}", "{B} with {A} riding on it"),
    "holding": ("{A} holds {B}", "{A} has {B}", "{A} has {B} {in}"),
    "leaning": ("{A} leans against {B}", "{A} leans on {B}", "{B} with {A} leaning on it"),
    "next": ("{A} and {B} are side by side", "{A} and {B} side by side {in}", "{B} with {A} next to it"),
    "left": ("{A} is on the left and {B} is on the right", "{A} on the left and {B} on the right"),
    "right": ("{B} is on the left and {A} is on the right",),
    "front": ("{A} is closer than {B}", "{B} with {A} in front of it"),
    "behind": ("{B} with {A} behind it", "{A} can be seen behind {B}"),
    "above": ("{B} with {A} above it", "high above {B} there is {A}"),
}
SINGLE = (
    "{A} {in}",
    "there is {A} {in}",
    "{in} there is {A}",
    "{A} {in} {day}",
    "{day} there is {A} {in}",
    "a picture with {A} in it",
)
GROUND = ("{A} {floor}", "there is {A} {floor}", "{A} is {floor}", "{A} {floor} {day}")
DOING_SINGLE = ("{A} is {do} {in}", "{A} {do} {in}", "{A} is {do} {in} {day}", "there is {A} {do} {in}")
FAR = ("{A} is far away", "far away there is {A}", "{A} in the distance", "{A} can be seen in the distance")
SKY = (
    "{A} in the sky",
    "{A} is up in the sky",
    "up in the sky there is {A}",
    "{A} floats in the air",
    "{A} flies {in}",
)
SEA = ("{A} is sailing on the sea", "{A} on the water", "{A} sails {day}")
LISTS = (
    "{A} and {B}",
    "{A} and {B} {in}",
    "we can see {A} and {B} {in}",
    "{A} and {B} are {in}",
    "{A} , {B} and {C}",
    "{A} , {B} and {C} {in}",
)
COUNTED = (
    "{A} {in}",
    "there are {A} {in}",
    "{A} are {in}",
    "{in} there are {A}",
    "{A} and {B} {in}",
    "{A} {in} {day}",
    "we can see {A}",
)
TEMPLATES = {
    "pair": PAIRS,
    "doing pair": DOING_PAIRS,
    "single": SINGLE,
    "ground": GROUND,
    "doing": DOING_SINGLE,
    "far": FAR,
    "sky": SKY,
    "sea": SEA,
    "list": LISTS,
    "counted": COUNTED,
    **{f"turned {r}": t for r, t in TURNED.items()},
}
