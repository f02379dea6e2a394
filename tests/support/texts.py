"""Short texts in several scripts: Universal Declaration of Human Rights, article 1, and trouble."""

SENTENCES = {
    "ko": [
        "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다.",
        "인간은 천부적으로 이성과 양심을 부여받았으며 서로 형제애의 정신으로 행동하여야 한다.",
    ],
    "en": [
        "All human beings are born free and equal in dignity and rights.",
        "They are endowed with reason and conscience and should act in a spirit of brotherhood.",
    ],
    "ja": ["すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。"],
    "th": ["มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ"],
    "ar": ["يولد جميع الناس أحرارًا متساوين في الكرامة والحقوق."],
    "hi": ["सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है।"],
    "sw": ["Watu wote wamezaliwa huru, hadhi na haki zao ni sawa."],
}

HARD_TEXTS = [
    "",
    " ",
    "\n\n \t\r\n  끝   ",
    "<|endoftext|> in the text is text, and so is <|pad|>",
    "👩‍👩‍👧‍👦 🇰🇷 é e\u0301 ½ Ⅷ ٣ \u200b\ufeff\x00",
    "가각갂" * 50 + "ㄱㄴㄷ" + "\u1112\u1161\u11ab",
    "𒀀𝒜\U0010ffff",
    "it's we'll I'VE don't 1,024.50",
]
