-- What the five demo databases are made from: dice that always fall the same way, and
-- names of people. Temporary tables, so nothing of this is left in the finished file.
--
-- dice: six columns of pseudo-random integers in [0, 1048575], the high bits of six
-- linear congruential generators modulo 2^32 (Knuth, TAOCP vol. 2, 3.3.4, table 1, and
-- its neighbours). Each table of a demo takes its own stretch of n, so that the fifth
-- customer and the fifth order have nothing in common.
CREATE TEMP TABLE dice (n INTEGER PRIMARY KEY, a, b, c, d, e, f);
INSERT INTO dice
WITH RECURSIVE roll(n, a, b, c, d, e, f) AS (
  SELECT 0, 20240229, 31415926, 27182818, 16180339, 14142135, 17320508
  UNION ALL
  SELECT n + 1,
         (a * 1664525 + 1013904223) & 4294967295, (b * 1103515245 + 12345) & 4294967295,
         (c * 69069 + 1) & 4294967295,            (d * 22695477 + 1) & 4294967295,
         (e * 214013 + 2531011) & 4294967295,     (f * 134775813 + 1) & 4294967295
  FROM roll WHERE n < 16000
)
SELECT n, a >> 12, b >> 12, c >> 12, d >> 12, e >> 12, f >> 12 FROM roll WHERE n > 0;

-- names: 64 first names (even n: women) and 64 last names.
CREATE TEMP TABLE names (n INTEGER PRIMARY KEY, first TEXT NOT NULL, last TEXT NOT NULL);
INSERT INTO names
SELECT f.key, f.value, l.value
FROM json_each('["Amelia","Liam","Priya","Mateo","Zoë","Noah","Ingrid","Omar","Chloe","Lukas",
"Aisha","Ethan","Mei","Diego","Hannah","Kwame","Sofia","Jack","Elena","Ravi","Grace","Hugo",
"Yuki","Samuel","Leila","Oliver","Marta","Tomás","Nora","Daniel","Freya","Ahmed","Isabel",
"Felix","Olga","Ben","Camille","Viktor","Ruth","Emeka","Lucía","Simon","Anya","Paul","Clara",
"Ivan","Julia","Marcus","Thandi","Leo","Emma","Jonas","Fatima","Arthur","Rosa","Dmitri","Alice",
"Kenji","Maya","Peter","Linh","George","Sara","Anton"]') f
JOIN json_each('["Smith","García","Müller","Patel","Kowalski","Johnson","Rossi","Nguyen","Brown",
"Dubois","Andersson","Okafor","Jones","Silva","Novak","Kim","Williams","O''Brien","Schmidt","Chen",
"Martin","Haddad","Larsen","Davis","Ferrari","Singh","Taylor","Moreau","Petrov","Tanaka","Wilson",
"Costa","de Vries","Murphy","Weber","Ali","Evans","Lopez","Nielsen","Mensah","Thomas","Bianchi",
"Horvat","Sharma","Roberts","Fischer","Dlamini","Walker","Sato","Janssen","Wright","Pereira",
"Virtanen","Hughes","Meyer","Ibrahim","Green","Laurent","Popescu","Adams","Keller","Baker",
"Rahman","Lindqvist"]') l ON l.key = f.key;
