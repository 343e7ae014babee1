-- Birch & Loom, an online shop for the home. Money is in integer cents (EUR).
-- Dates are ISO text. Awkward on purpose: e-mail addresses in mixed case and missing,
-- payment methods typed in several ways, a column called "default", reviews without a
-- title, products and customers that nothing refers to.

CREATE TABLE countries (
  code TEXT PRIMARY KEY,
  name TEXT NOT NULL
);
INSERT INTO countries VALUES
  ('DE', 'Germany'), ('FR', 'France'), ('GB', 'United Kingdom'), ('NL', 'Netherlands'),
  ('ES', 'Spain'), ('IT', 'Italy'), ('SE', 'Sweden'), ('PL', 'Poland'), ('PT', 'Portugal');

CREATE TABLE customers (
  id INTEGER PRIMARY KEY,
  first_name TEXT NOT NULL,
  last_name TEXT NOT NULL,
  email TEXT,
  country_code TEXT NOT NULL REFERENCES countries (code),
  signup_date TEXT NOT NULL,
  referred_by INTEGER REFERENCES customers (id),
  newsletter INTEGER              -- 1 yes, 0 no, NULL never asked
);
INSERT INTO customers
SELECT n - 1000, first, last,
       CASE WHEN d % 17 = 0 THEN NULL
            ELSE CASE WHEN d % 9 = 0 THEN first || '.' || replace(last, ' ', '') || (n - 1000)
                      ELSE lower(first || '.' || replace(replace(last, ' ', ''), '''', ''))
                           || (n - 1000) END
                 || CASE d % 4 WHEN 0 THEN '@example.com' WHEN 1 THEN '@mail.example'
                               WHEN 2 THEN '@example.org' ELSE '@Example.com' END
       END,
       substr('DEDEDEDEFRFRFRGBGBGBNLNLESITSEPL', c % 16 * 2 + 1, 2),
       date('2022-01-10', ((n - 1001) * 2.2 + d % 3) || ' days'),
       CASE WHEN e % 5 = 0 AND n > 1020 THEN 1 + f % (n - 1001) END,
       CASE WHEN f % 7 = 0 THEN NULL ELSE f % 7 < 4 END
FROM dice JOIN (SELECT n AS fn, first FROM names) ON fn = a % 64
          JOIN (SELECT n AS ln, last FROM names) ON ln = b % 64
WHERE n BETWEEN 1001 AND 1640;

CREATE TABLE addresses (
  id INTEGER PRIMARY KEY,
  customer_id INTEGER NOT NULL REFERENCES customers (id),
  city TEXT NOT NULL,
  postcode TEXT,
  "default" INTEGER NOT NULL      -- 1 for the address that orders go to unless told
);
INSERT INTO addresses (customer_id, city, postcode, "default")
SELECT id,
       json_extract(CASE country_code
         WHEN 'DE' THEN '["Berlin","Hamburg","Munich","Cologne","Leipzig"]'
         WHEN 'FR' THEN '["Paris","Lyon","Nantes","Lille","Paris"]'
         WHEN 'GB' THEN '["London","Leeds","Bristol","Glasgow","London"]'
         WHEN 'NL' THEN '["Amsterdam","Utrecht","Rotterdam","Haarlem","Amsterdam"]'
         WHEN 'ES' THEN '["Madrid","Valencia","Seville","Barcelona","Barcelona"]'
         WHEN 'IT' THEN '["Milan","Rome","Turin","Bologna","Milan"]'
         WHEN 'SE' THEN '["Stockholm","Malmö","Uppsala","Gothenburg","Stockholm"]'
         ELSE '["Warsaw","Kraków","Gdańsk","Wrocław","Warsaw"]' END,
         '$[' || (dice.a % 5) || ']'),
       CASE WHEN dice.b % 15 > 0 THEN printf('%05d', 10000 + dice.c % 89999) END,
       nth = 1
FROM customers
JOIN (SELECT 1 AS nth UNION SELECT 2)
JOIN dice ON dice.n = 2000 + id * 2 + nth
WHERE nth = 1 OR dice.d % 4 = 0
ORDER BY id, nth;

CREATE TABLE categories (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  parent_id INTEGER REFERENCES categories (id)
);
INSERT INTO categories VALUES
  (1, 'Kitchen', NULL), (2, 'Living', NULL), (3, 'Bedroom', NULL), (4, 'Garden', NULL),
  (5, 'Cookware', 1), (6, 'Tableware', 1), (7, 'Lighting', 2), (8, 'Textiles', 2),
  (9, 'Bedding', 3), (10, 'Storage', 3), (11, 'Pots & Planters', 4), (12, 'Garden Tools', 4),
  (13, 'Gift Cards', NULL);

CREATE TABLE products (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  category_id INTEGER NOT NULL REFERENCES categories (id),
  price_cents INTEGER NOT NULL,
  stock INTEGER,                  -- NULL: made to order
  discontinued_on TEXT
);
INSERT INTO products (name, category_id, price_cents) VALUES
  ('Cast Iron Skillet', 5, 4490), ('Copper Saucepan', 5, 8900), ('Enamel Dutch Oven', 5, 12900),
  ('Carbon Steel Wok', 5, 5450), ('Milk Pan', 5, 2750), ('Roasting Tin', 5, 3200),
  ('Stoneware Dinner Plate', 6, 1650), ('Stoneware Bowl', 6, 1350), ('Espresso Cup', 6, 950),
  ('Linen Napkin', 6, 790), ('Carafe', 6, 2400), ('Oak Salad Servers', 6, 2100),
  ('Water Glass', 6, 620), ('Cake Stand', 6, 3850), ('Walnut Serving Board', 6, 4200),
  ('Paper Lantern', 7, 2450), ('Brass Desk Lamp', 7, 11900), ('Rattan Pendant', 7, 9900),
  ('Glass Table Lamp', 7, 7450), ('Clip-on Reading Light', 7, 2990), ('Floor Lamp Arc', 7, 18900),
  ('Wool Throw', 8, 7900), ('Velvet Cushion', 8, 3450), ('Jute Rug 120x180', 8, 10900),
  ('Kilim Rug', 8, 24900), ('Linen Curtain', 8, 6900), ('Sheepskin', 8, 8950),
  ('Cotton Duvet Cover', 9, 8400), ('Linen Duvet Cover', 9, 15900), ('Feather Pillow', 9, 4950),
  ('Fitted Sheet', 9, 3900), ('Quilted Bedspread', 9, 13900), ('Pillowcase Pair', 9, 2900),
  ('Seagrass Basket', 10, 3300), ('Wall Hook Rail', 10, 2650), ('Cedar Chest', 10, 28900),
  ('Under-bed Box', 10, 3750), ('Felt Organiser', 10, 1990),
  ('Terracotta Pot', 11, 1250), ('Hanging Planter', 11, 2190), ('Glazed Urn', 11, 6400),
  ('Herb Trough', 11, 3150), ('Zinc Window Box', 11, 2850), ('Self-watering Pot', 11, 3690),
  ('Hand Trowel', 12, 1450), ('Secateurs', 12, 3250), ('Watering Can', 12, 2790),
  ('Garden Fork', 12, 4100), ('Kneeling Mat', 12, 1790), ('Twine Dispenser', 12, 1190),
  ('Gift Card 25', 13, 2500), ('Gift Card 50', 13, 5000), ('Gift Card 100', 13, 10000),
  ('Bamboo Steamer', 5, 2250), ('Marble Mortar', 5, 3990), ('Candle Holder', 7, 1890),
  ('Mohair Blanket', 8, 14500), ('Bolster', 8, 4250), ('Silk Eye Mask', 9, 2350),
  ('Rocking Garden Bench', 4, 34900);
UPDATE products SET
  stock = CASE WHEN category_id = 13 OR id = 60 THEN NULL ELSE
    (SELECT CASE WHEN a % 13 = 0 THEN 0 ELSE b % 180 END FROM dice WHERE n = 4000 + id) END,
  discontinued_on = CASE WHEN id IN (5, 14, 20, 37, 50)
    THEN date('2025-01-31', (id * 4) || ' days') END;

CREATE TABLE tags (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
INSERT INTO tags (name) VALUES ('handmade'), ('organic'), ('bestseller'), ('new'), ('sale'),
  ('vegan'), ('recycled'), ('limited edition');

CREATE TABLE product_tags (
  product_id INTEGER NOT NULL REFERENCES products (id),
  tag_id INTEGER NOT NULL REFERENCES tags (id),
  PRIMARY KEY (product_id, tag_id)
);
INSERT INTO product_tags
SELECT p.id, t.id FROM products p JOIN tags t JOIN dice ON n = 4100 + p.id * 8 + t.id
WHERE a % 100 < 40 - 4 * t.id AND p.category_id <> 13;

CREATE TABLE orders (
  id INTEGER PRIMARY KEY,
  customer_id INTEGER NOT NULL REFERENCES customers (id),
  address_id INTEGER REFERENCES addresses (id),
  ordered_at TEXT NOT NULL,       -- YYYY-MM-DD HH:MM:SS
  status TEXT NOT NULL,           -- delivered, shipped, processing, cancelled
  payment_method TEXT             -- as typed by three checkout systems
);
-- A few customers order often (the product of two dice), the youngest seventy never have.
INSERT INTO orders (customer_id, ordered_at, status, payment_method)
SELECT customer,
       datetime(ordered_on, (7 + (d + e) % 16) || ' hours', (d % 60) || ' minutes', (e % 60) || ' seconds'),
       CASE WHEN f % 100 < 7 THEN 'cancelled'
            WHEN ordered_on >= '2025-12-22' THEN 'processing'
            WHEN ordered_on >= '2025-12-14' THEN 'shipped'
            ELSE 'delivered' END,
       CASE WHEN e % 41 = 0 THEN NULL
            ELSE json_extract('["card","card","Card","CARD","PayPal","paypal","PayPal ","invoice",
                               "card","Invoice","card","bank transfer"]', '$[' || (e % 12) || ']') END
FROM (SELECT dice.*, id AS customer,
             date(signup_date, CAST((julianday('2025-12-30') - julianday(signup_date))
               * (b % 1000) / 1000.0 AS INTEGER) || ' days') AS ordered_on
      FROM dice JOIN customers ON id = 1 + (a % 570) * (c % 1000) / 1000 * 211 % 570
      WHERE n BETWEEN 5001 AND 6500)
ORDER BY 2;
UPDATE orders SET address_id = (
  SELECT CASE WHEN orders.id % 6 = 0 THEN max(id) ELSE min(id) END
  FROM addresses WHERE customer_id = orders.customer_id)
WHERE id % 53 > 0;

CREATE TABLE order_items (
  order_id INTEGER NOT NULL REFERENCES orders (id),
  line INTEGER NOT NULL,
  product_id INTEGER NOT NULL REFERENCES products (id),
  quantity INTEGER NOT NULL,
  unit_price_cents INTEGER NOT NULL,   -- what was charged, after discounts
  PRIMARY KEY (order_id, line)
);
-- The last two products have never been sold.
INSERT INTO order_items
SELECT o.id, nth, p.id,
       CASE WHEN p.price_cents < 2000 THEN 1 + b % 6 WHEN b % 5 = 0 THEN 2 ELSE 1 END,
       CASE WHEN c % 8 = 0 THEN p.price_cents * 80 / 100
            WHEN o.ordered_at < '2024' THEN p.price_cents * 93 / 100
            ELSE p.price_cents END
FROM orders o
JOIN (SELECT 1 AS nth UNION SELECT 2 UNION SELECT 3 UNION SELECT 4)
JOIN dice ON dice.n = 6500 + o.id * 4 + nth
JOIN products p ON p.id = 1 + (a % 58 * 5 + d % 7 * 17) % 58
WHERE nth = 1 OR e % 100 < 72 - 14 * nth
ORDER BY o.id, nth;

CREATE TABLE returns (
  order_id INTEGER NOT NULL,
  line INTEGER NOT NULL,
  returned_on TEXT NOT NULL,
  reason TEXT,
  refund_cents INTEGER NOT NULL,
  PRIMARY KEY (order_id, line),
  FOREIGN KEY (order_id, line) REFERENCES order_items (order_id, line)
);
INSERT INTO returns
SELECT i.order_id, i.line, date(o.ordered_at, (6 + a % 21) || ' days'),
       json_extract('["damaged","wrong size","changed mind","not as described",null,"changed mind"]',
                    '$[' || (b % 6) || ']'),
       i.quantity * i.unit_price_cents - CASE WHEN c % 4 = 0 THEN 490 ELSE 0 END
FROM order_items i JOIN orders o ON o.id = i.order_id
JOIN dice ON dice.n = 13000 + (i.order_id * 7 + i.line * 3) % 2900
WHERE o.status = 'delivered' AND d % 100 < 6 AND o.ordered_at < '2025-11-25';

CREATE TABLE reviews (
  id INTEGER PRIMARY KEY,
  product_id INTEGER NOT NULL REFERENCES products (id),
  customer_id INTEGER NOT NULL REFERENCES customers (id),
  rating INTEGER NOT NULL CHECK (rating BETWEEN 1 AND 5),
  title TEXT,
  created_on TEXT NOT NULL
);
INSERT INTO reviews (product_id, customer_id, rating, title, created_on)
SELECT product_id, customer_id, rating,
       CASE WHEN b % 3 > 0 THEN json_extract(CASE
         WHEN rating >= 4 THEN '["Love it","Exactly as pictured","beautiful!","Great quality","WORTH IT"]'
         WHEN rating = 3 THEN '["Fine","okay for the price","Smaller than expected","It does the job","Hmm"]'
         ELSE '["Broke after a week","Disappointed","Not as described","arrived late","Would not buy again"]'
         END, '$[' || (c % 5) || ']') END,
       date(ordered_at, (9 + d % 30) || ' days')
FROM (SELECT i.product_id, o.customer_id, o.ordered_at, b, c, d,
             max(1, min(5, 5 - (e % 10 >= 5) - (e % 10 >= 8) * 2 + (i.product_id % 5 = 1)
                           - (i.product_id % 7 = 3))) AS rating
      FROM order_items i JOIN orders o ON o.id = i.order_id
      JOIN dice ON dice.n = 12000 + (i.order_id * 11 + i.line * 5) % 3900
      WHERE o.status = 'delivered' AND a % 100 < 22 AND o.ordered_at < '2025-12-01')
ORDER BY 5, 1, 2;

CREATE VIEW order_totals AS
SELECT o.id AS order_id, o.customer_id, date(o.ordered_at) AS ordered_on, o.status,
       count(*) AS lines, sum(i.quantity * i.unit_price_cents) AS total_cents
FROM orders o JOIN order_items i ON i.order_id = o.id
GROUP BY o.id;
