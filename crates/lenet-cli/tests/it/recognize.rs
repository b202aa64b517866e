//! `lenet recognize` and `lenet eval --pictures`: image formats, malformed files, formats of output.

use std::{fs, io::Cursor, path::Path};

use image::{DynamicImage, GrayImage, ImageFormat, Luma};
use serde_json::Value;
use snapbox::str;

use crate::{folder_with_network, lenet, with_slashes};

/// Draws two bars on a page of 60 x 40 pixels, the left one longer, so that a rotated page can be told from an upright one.
pub fn page() -> DynamicImage {
    let ink = |x: u32, y: u32| {
        ((20..24).contains(&x) && (8..32).contains(&y)) || ((38..42).contains(&x) && (10..32).contains(&y))
    };
    GrayImage::from_fn(60, 40, |x, y| Luma([if ink(x, y) { 20 } else { 230 }])).into()
}

/// Draws digits of MNIST's test images at twice their size, each with its index and its left edge, 16 pixels from the top.
pub fn draw_digits(page: &mut GrayImage, digits: &[(usize, u32)]) {
    let data = lenet_mnist::test();
    for &(index, left) in digits {
        for (at, &ink) in data.image(index).iter().enumerate() {
            for offset in 0..4 {
                let (x, y) =
                    (left + 2 * (at as u32 % 28) + offset % 2, 16 + 2 * (at as u32 / 28) + offset / 2);
                let pixel = &mut page.get_pixel_mut(x, y).0[0];
                *pixel = (*pixel).min(240 - ink.min(220));
            }
        }
    }
}

/// Draws a table of two cells with the numbers 7.2 and 10: digits of MNIST's test images at twice their size, and a point.
pub fn table() -> DynamicImage {
    let mut page = GrayImage::from_fn(260, 90, |x, y| {
        let is_rule = [6, 160, 250].contains(&(x / 2 * 2)) || [6, 80].contains(&(y / 2 * 2));
        let is_in_table = (6..252).contains(&x) && (6..82).contains(&y);
        Luma([if is_rule && is_in_table { 90 } else { 240 }])
    });
    draw_digits(&mut page, &[(0, 12), (1, 80), (2, 160), (3, 196)]);
    for (x, y) in (0..5).flat_map(|x| (0..5).map(move |y| (x, y))) {
        page.put_pixel(72 + x, 60 + y, Luma([20]));
    }
    page.into()
}

pub fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// Runs `lenet recognize --weights net.safetensors` with `arguments`. Returns stdout, stderr and the exit status.
fn recognize(folder: &Path, arguments: &[&str]) -> (String, String, Option<i32>) {
    let output =
        lenet(folder).args(["recognize", "--weights", "net.safetensors"]).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.code())
}

/// Returns the bounding boxes in a line of JSON.
pub fn boxes(line: &str) -> Vec<Value> {
    let object: Value = serde_json::from_str(line).unwrap();
    object["digits"].as_array().unwrap().iter().map(|digit| digit["box"].clone()).collect()
}

/// The page in formats that the crate `image` can decode but not encode: PNG with four colors, interlaced; lossy WebP; animated
/// WebP, whose second frame is blank; and progressive JPEG.
const FILES: [&str; 4] = [
    "\
89504e470d0a1a0a0000000d494844520000003c000000280203000001a8d241fa0000000c504c5445000000e6e6e6000000\
141414765178b80000004e4944415478da63080d6500a1523002324218626108c80e0d0511a5b1284468280a510a264a7110\
c88a41200099111f1a7e957406a639c430e229b394362e8401f2f8ffb1f0e3bf0e1d3ef9fe07007404e7ff1ce8de82000000\
0049454e44ae426082",
    "\
524946465c0000005745425056503820500000007004009d012a3c0028003ead469c49a62422a132a800c015896900043802\
00a04b9a57e747d2a78d90dde00000fef1f7ebfeb9e4276dd935a3f908f9ae28cb27f3146dfc277a3f293494215800000000",
    "\
52494646b800000057454250565038580a000000120000003b0000270000414e494d06000000000000000000414e4d464c00\
00000000000000003b0000270000640000025650384c330000002f3bc009000f700ae953489f427afe030f6a1a4981249c24\
fc7b2239a0faa923fa2f2448884667902449cc899020faa9f1ef0000414e4d46380000000a00000400001500001700006400\
00005650384c1f0000002f15c005100f30e6633ee6f31ff020cc369ac184e64f76bf1388e87f08d33b00",
    "\
ffd8ffe000104a46494600010100000100010000ffdb004300080606070605080707070909080a0c140d0c0b0b0c1912130f\
141d1a1f1e1d1a1c1c20242e2720222c231c1c2837292c30313434341f27393d38323c2e333432ffc2000b080028003c0101\
1100ffc400160001010100000000000000000000000000000605ffda0008010100000001b300455ae5b50455ae2b68455ae2\
b6801fffc4001b10000104030000000000000000000000000502031035042030ffda0008010100010502e47e083ab63047ba\
b7f0743f05ab04d6687e0b5609ace5ffc4002010000004060300000000000000000000000103118100041082b1c1022030ff\
da0008010100063f02f297bb5430c2c5390220bc166182bc85545facbddaa1cd9825f3d65eed50e6cc12f9f3ffc4001a1000\
02030101000000000000000000000001410061f02030ffda0008010100013f21f485dfe0140e2eff0000305dc6dacdb7ee36\
d66dbf9fffda0008010100000010002c202000ffc4001c1001000104030000000000000000000000011121314151003040ff\
da0008010100013f10ecfd487492ea04b2e39b90e920d40160c7afc107c107ffd9",
];

fn from_hex(text: &str) -> Vec<u8> {
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    text.as_bytes().chunks(2).map(byte).collect()
}

/// Encodes the page as PNG with `bits` bits a pixel, gray or with a palette.
fn png_of(bits: usize, palette: bool) -> Vec<u8> {
    let (mut bytes, page) = (Vec::new(), page().to_luma8());
    let mut encoder = png::Encoder::new(&mut bytes, page.width(), page.height());
    encoder.set_depth(png::BitDepth::from_u8(bits as u8).unwrap());
    encoder.set_color(if palette { png::ColorType::Indexed } else { png::ColorType::Grayscale });
    if palette {
        // Index 0 is the color of ink. The last index is that of paper, which is transparent.
        let last = (1 << bits) - 1;
        encoder.set_palette([[10, 20, 30].repeat(last), vec![0, 0, 0]].concat());
        encoder.set_trns([vec![255; last], vec![0]].concat());
    }
    let rows = page.rows().flat_map(|row| {
        let row: Vec<_> = row.map(|pixel| u8::from(pixel[0] > 128)).collect();
        let packed = |pixels: &[u8]| {
            pixels
                .iter()
                .enumerate()
                .map(|(i, &paper)| (paper * (0xff >> (8 - bits))) << (8 - bits * (i + 1)))
                .sum::<u8>()
        };
        row.chunks(8 / bits).map(packed).collect::<Vec<_>>()
    });
    encoder.write_header().unwrap().write_image_data(&rows.collect::<Vec<_>>()).unwrap();
    bytes
}

/// Encodes the page as plain PNM with a header and the values of ink and paper.
fn pnm_of(header: &str, [ink, paper]: [u8; 2]) -> Vec<u8> {
    let values = page()
        .to_luma8()
        .pixels()
        .map(|pixel| format!(" {}", if pixel[0] > 128 { paper } else { ink }))
        .collect::<String>();
    format!("{header}{values}\n").into_bytes()
}

/// Encodes an animated GIF whose first frame is the page and whose second frame is blank.
fn animation() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = image::codecs::gif::GifEncoder::new(&mut bytes);
    let blank = image::RgbaImage::from_pixel(60, 40, image::Rgba([255; 4]));
    encoder.encode_frames([page().to_rgba8(), blank].map(image::Frame::new)).unwrap();
    drop(encoder);
    bytes
}

#[test]
fn identifies_every_format_by_its_content() {
    let folder = folder_with_network();
    let (page, mut files) = (page(), Vec::new());
    let deep = |page: &DynamicImage| DynamicImage::from(page.to_luma16());
    for (image, format) in [
        (page.clone(), ImageFormat::Png),
        (page.to_rgb8().into(), ImageFormat::Png),
        (page.to_rgba8().into(), ImageFormat::Png),
        (page.to_luma_alpha8().into(), ImageFormat::Png),
        (deep(&page), ImageFormat::Png),
        (page.to_rgba16().into(), ImageFormat::Png),
        (page.clone(), ImageFormat::Jpeg),
        (page.to_rgb8().into(), ImageFormat::Jpeg),
        (page.to_rgb8().into(), ImageFormat::Bmp),
        (page.to_rgba8().into(), ImageFormat::Gif),
        (page.to_rgb8().into(), ImageFormat::WebP),
        (page.clone(), ImageFormat::Pnm),
        (page.clone(), ImageFormat::Tiff),
        (deep(&page), ImageFormat::Tiff),
    ] {
        files.push(encoded(&image, format));
    }
    files.extend([1, 2, 4, 8].into_iter().flat_map(|bits| [png_of(bits, false), png_of(bits, true)]));
    files.extend(FILES.map(from_hex));
    files.extend([
        pnm_of("P1 60 40", [1, 0]),
        pnm_of("P2 # of sixteen shades\n60 40 15", [1, 14]),
        animation(),
    ]);
    let names: Vec<_> = (0..files.len()).map(|number| format!("{number:02}.txt")).collect();
    for (name, bytes) in names.iter().zip(&files) {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    let arguments: Vec<_> = ["--json"].into_iter().chain(names.iter().map(String::as_str)).collect();
    let (stdout, stderr, status) = recognize(folder.path(), &arguments);
    assert_eq!((stderr.as_str(), status, stdout.lines().count()), ("", Some(0), files.len()));
    for (line, name) in stdout.lines().zip(&names) {
        let object: Value = serde_json::from_str(line).unwrap();
        assert_eq!(object["path"], **name, "in the order of the arguments");
        let digits = object["digits"].as_array().unwrap();
        assert_eq!(digits.len(), 2, "{line}");
        for (digit, x) in digits.iter().zip([20, 38]) {
            assert!(digit["box"][0].as_i64().unwrap().abs_diff(x) <= 1, "{line}");
            assert_eq!(digit["probabilities"].as_array().unwrap().len(), 10);
            assert_eq!(digit["line"], 0);
            assert!(digit["confidence"].is_number() && digit["rejected"].is_boolean());
        }
        assert_eq!(object["text"].as_str().unwrap().len(), 2);
        assert_eq!(object["remarks"][0], "multiple_digits");
    }
}

/// A JPEG file with a black bar on white, 32 x 32 pixels, in the inverted CMYK of Adobe.
const CMYK: &str = "\
ffd8ffee000e41646f626500640000000000ffdb0043001b12141714111b1716171e1c1b2028422b28252528513a3d30\
42605565645f555d5b6a7899816a7190735b5d85b586909ea3abadab6780bcc9baa6c799a8aba4ffc000140800200020\
044311004d11005911004b1100ffc40017000100030000000000000000000000000000030506ffc4001f100001040105\
01000000000000000000000001030411020612354182b2ffda000e0443004d0059004b00003f00d31a634c6980045264\
35158c9f7f2d8de356b4ab56b5d0004690d4a6317d8cb7b795d2d2a5d2d76002500000159a938393e7e900034df071bd\
7d2800b300000159a938393e7e900034df071bd7d2800b30000011498ed4a63261fc77b7955a5aa5d2df40011a3b5158\
c58631d8de37496ab56b7d80094fffd9";

#[test]
fn decodes_cmyk_and_applies_the_exif_orientation() {
    let folder = folder_with_network();
    fs::write(folder.path().join("cmyk.jpg"), from_hex(CMYK)).unwrap();
    let (stdout, ..) = recognize(folder.path(), &["--json", "cmyk.jpg"]);
    let object: Value = serde_json::from_str(&stdout).unwrap();
    let doubt = "[\"no_outlier_class\"]";
    assert_eq!((boxes(&stdout).len(), object["remarks"].to_string().as_str()), (1, doubt), "{stdout}");

    // An Exif segment with the orientation 6: rotate by 90 degrees clockwise.
    let mut jpeg = encoded(&page().rotate270(), ImageFormat::Jpeg);
    let exif = b"\xff\xe1\x00\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    jpeg.splice(2..2, *exif);
    fs::write(folder.path().join("rotated.jpg"), jpeg).unwrap();
    let rotated = |name: &str| -> Vec<_> {
        let (stdout, ..) = recognize(folder.path(), &["--json", name]);
        boxes(&stdout).iter().map(|found| found[0].as_i64().unwrap()).collect()
    };
    assert_eq!(rotated("rotated.jpg"), [20, 38]);

    // The same orientation in a PNG file with 16 bits, in a chunk behind its header.
    let mut png = encoded(&page().rotate270().to_rgba16().into(), ImageFormat::Png);
    let mut check = flate2::Crc::new();
    let chunk = [b"eXIf", &exif[10..]].concat();
    check.update(&chunk);
    let len = (chunk.len() as u32 - 4).to_be_bytes();
    png.splice(33..33, [&len, &chunk[..], &check.sum().to_be_bytes()].concat());
    fs::write(folder.path().join("rotated.png"), png).unwrap();
    assert_eq!(rotated("rotated.png"), [20, 38]);
}

#[test]
fn reports_malformed_files_and_reads_the_others() {
    let folder = folder_with_network();
    let png = encoded(&page(), ImageFormat::Png);
    let jpeg = encoded(&page(), ImageFormat::Jpeg);
    // The end marker of a thumbnail in a segment is not the end of the image.
    let mut copied = jpeg[..jpeg.len() - 2].to_vec();
    copied.splice(2..2, *b"\xff\xe1\0\x06\xff\xd8\xff\xd9");
    let mut bomb = b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".to_vec();
    bomb.extend([50_000_u32.to_le_bytes(), 50_000_u32.to_le_bytes()].concat());
    bomb.extend(b"\x01\0\x18\0");
    bomb.resize(54, 0);
    let images = folder.path().join("pictures");
    fs::create_dir_all(images.join("more")).unwrap();
    for (name, content) in [
        ("a.png", &png[..]),
        ("b.png", b"no image at all"),
        ("bomb.bmp", &bomb),
        ("copied.jpg", &copied),
        ("cut.jpg", &jpeg[..jpeg.len() - 20]),
        ("cut.png", &png[..png.len() / 2]),
        ("empty.png", b""),
        (".hidden.png", b"not looked at"),
        ("more/z.png", &png),
        ("zero.pgm", b"P5 0 0 255\n"),
    ] {
        fs::write(images.join(name), content).unwrap();
    }
    let (stdout, stderr, status) = recognize(folder.path(), &["pictures", "missing.png"]);
    assert_eq!(status, Some(1));
    let (stdout, stderr) = (with_slashes(&stdout), with_slashes(&stderr));
    let read: Vec<_> = stdout.lines().map(|line| line.split(": ").next().unwrap()).collect();
    assert_eq!(read, ["pictures/a.png", "pictures/more/z.png"]);
    let wrong: Vec<_> = stderr
        .lines()
        .map(|line| line.strip_prefix("error: ").unwrap().split(": ").next().unwrap())
        .collect();
    let expected = ["b.png", "bomb.bmp", "copied.jpg", "cut.jpg", "cut.png", "empty.png", "zero.pgm"];
    assert_eq!(wrong[..7], expected.map(|name| format!("pictures/{name}")));
    assert_eq!(wrong[7..], ["missing.png"]);
    for name in ["copied.jpg", "cut.jpg", "cut.png"] {
        let line = format!("pictures/{name}: could not be decoded: the file ends too soon\n");
        assert!(stderr.contains(&line), "{stderr}");
    }
    assert!(
        stderr.contains("bomb.bmp: size: expected at most 100 megapixels, found 50000 x 50000"),
        "{stderr}"
    );
    assert!(stderr.contains("b.png: format: expected PNG, JPEG,"), "{stderr}");

    let (stdout, _, status) = recognize(folder.path(), &["--json", "pictures/b.png"]);
    let object: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((status, object.as_object().unwrap().len()), (Some(1), 2));
    assert!(object["error"].as_str().unwrap().starts_with("format: "), "{stdout}");
    let (_, stderr, _) = recognize(folder.path(), &["--max-megapixels", "0", "pictures/a.png"]);
    assert_eq!(stderr, "error: pictures/a.png: size: expected at most 0 megapixels, found 60 x 40\n");
}

/// Returns a TIFF file of one 8-bit gray page for each image, and a thumbnail behind the first, which is no page.
pub fn tiff_of(pages: &[DynamicImage]) -> Vec<u8> {
    let thumbnail = DynamicImage::from(GrayImage::new(2, 2));
    let mut images: Vec<_> = pages.iter().map(|page| (page, 0)).collect();
    images.insert(1, (&thumbnail, 1));
    let (mut bytes, mut next) = (b"II*\0\0\0\0\0".to_vec(), 4);
    for (image, subfile_type) in images {
        let image = image.to_luma8();
        let start = bytes.len() as u32;
        bytes.extend(image.as_raw());
        bytes.resize(bytes.len().next_multiple_of(2), 0);
        let directory = bytes.len() as u32;
        bytes[next..next + 4].copy_from_slice(&directory.to_le_bytes());
        let (width, height) = image.dimensions();
        let entries = [
            (254, subfile_type),
            (256, width),
            (257, height),
            (258, 8),
            (259, 1),
            (262, 1),
            (273, start),
            (278, height),
            (279, width * height),
        ];
        bytes.extend((entries.len() as u16).to_le_bytes());
        for (tag, value) in entries {
            bytes.extend([tag, 4_u16].map(u16::to_le_bytes).concat());
            bytes.extend([1, value].map(u32::to_le_bytes).concat());
        }
        next = bytes.len();
        bytes.extend([0; 4]);
    }
    bytes
}

#[test]
fn reads_every_page_of_a_tiff_file() {
    let folder = folder_with_network();
    let blank = DynamicImage::from(GrayImage::from_pixel(50, 50, Luma([200])));
    let mut tiff = tiff_of(&[page(), blank, page().rotate180()]);
    fs::write(folder.path().join("scan.tif"), &tiff).unwrap();
    let (stdout, stderr, status) = recognize(folder.path(), &["--json", "scan.tif"]);
    assert_eq!((stderr.as_str(), status), ("", Some(0)));
    let pages: Vec<Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        pages.iter().map(|page| page["page"].as_i64()).collect::<Vec<_>>(),
        [Some(1), Some(2), Some(3)]
    );
    assert_eq!(
        pages.iter().map(|page| page["digits"].as_array().unwrap().len()).collect::<Vec<_>>(),
        [2, 0, 2]
    );
    let (stdout, ..) = recognize(folder.path(), &["scan.tif"]);
    assert_eq!(stdout.lines().nth(1), Some("scan.tif, page 2: (blank)"));

    // The last page is a link to the first, or beyond the end of the file.
    let len = tiff.len();
    for link in [8_u32, u32::MAX] {
        tiff[len - 4..].copy_from_slice(&link.to_le_bytes());
        fs::write(folder.path().join("scan.tif"), &tiff).unwrap();
        assert_eq!(recognize(folder.path(), &["scan.tif"]).0.lines().count(), 3);
    }
    for (name, start) in
        [("a.pdf", "%PDF-1.7"), ("a.heic", "\0\0\0\x18ftypheic"), ("a.avif", "\0\0\0\x18ftypavif")]
    {
        fs::write(folder.path().join(name), start).unwrap();
        let (_, stderr, status) = recognize(folder.path(), &[name]);
        assert_eq!(status, Some(1));
        assert!(stderr.contains(" is not supported; "), "{stderr}");
    }
}

/// Root can read every folder, so that there is no error for root.
#[cfg(unix)]
#[test]
fn reports_an_unreadable_folder() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder_with_network();
    let closed = folder.path().join("pictures/closed");
    fs::create_dir_all(&closed).unwrap();
    fs::write(folder.path().join("pictures/a.png"), encoded(&page(), ImageFormat::Png)).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    let unreadable = fs::read_dir(&closed).is_err();
    let (stdout, stderr, status) = recognize(folder.path(), &["--json", "pictures"]);
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    let lines: Vec<Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), status), if unreadable { (2, Some(1)) } else { (1, Some(0)) });
    assert_eq!(lines[0]["path"], "pictures/a.png");
    if unreadable {
        assert_eq!(lines[1]["path"], "pictures/closed");
        assert!(stderr.starts_with("error: pictures/closed: could not be read: "), "{stderr}");
    }
}

#[test]
fn prints_text_and_csv_and_reads_stdin_and_single_digits() {
    let folder = folder_with_network();
    let blank = GrayImage::from_pixel(50, 50, Luma([200]));
    fs::write(folder.path().join("blank, white.png"), encoded(&blank.into(), ImageFormat::Png)).unwrap();
    let png = encoded(&page(), ImageFormat::Png);
    fs::write(folder.path().join("a.png"), &png).unwrap();
    let (stdout, ..) = recognize(folder.path(), &["a.png", "blank, white.png"]);
    let (first, second) = stdout.split_once('\n').unwrap();
    assert!(first.starts_with("a.png: ") && first.contains(" (lowest confidence "), "{first}");
    assert_eq!(second, "blank, white.png: (blank)\n");
    let (stdout, ..) = recognize(folder.path(), &["--csv", "blank, white.png", "a.png"]);
    let lines: Vec<_> = stdout.lines().collect();
    assert_eq!(
        lines[..2],
        ["path,text,confidence,probability,remarks,error", "\"blank, white.png\",,,,blank,"]
    );
    assert!(
        lines[2].starts_with("a.png,") && lines[2].contains(",multiple_digits; no_outlier_class"),
        "{stdout}"
    );

    let recognize = || lenet(folder.path()).args(["recognize", "--weights", "net.safetensors"]);
    // A pipe with a path, as the shell passes for `<(command)`.
    #[cfg(unix)]
    recognize().arg("/dev/stdin").stdin(png.clone()).assert().success();
    let output = recognize().args(["--json", "--single", "-"]).stdin(png).assert().success();
    let line = String::from_utf8(output.get_output().stdout.clone()).unwrap();
    let found: [i64; 4] = serde_json::from_value(boxes(&line)[0].clone()).unwrap();
    assert_eq!((boxes(&line).len(), found), (1, [20, 8, 22, 24]));

    lenet(folder.path()).args(["recognize", "a.png", "--json", "--csv"]).assert().code(2);
}

#[test]
fn trace_writes_the_intermediate_images() {
    let folder = folder_with_network();
    fs::write(folder.path().join("a.png"), encoded(&page(), ImageFormat::Png)).unwrap();
    recognize(folder.path(), &["--trace", "trace", "a.png"]);
    let mut names: Vec<_> = fs::read_dir(folder.path().join("trace"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["a.png.boxes.png", "a.png.grey.png", "a.png.ink.png", "a.png.tiles.png"]);
    for name in &names[..3] {
        assert_eq!(crate::png_size(&folder.path().join("trace").join(name)), (60, 40));
    }
}

#[test]
fn evaluates_image_files_by_source() {
    let folder = folder_with_network();
    let images = folder.path().join("pictures");
    fs::create_dir(&images).unwrap();
    let blank = GrayImage::from_pixel(50, 50, Luma([200]));
    fs::write(images.join("a.png"), encoded(&blank.into(), ImageFormat::Png)).unwrap();
    fs::write(
        images.join("labels.tsv"),
        "a.png\tblank paper\tone@1:a.png\tphoto\na.png\t7\ttwo@2:a.png\tphoto\n",
    )
    .unwrap();
    let arguments = ["eval", "net.safetensors", "--pictures", "pictures"];
    lenet(folder.path()).args(arguments).assert().success().stdout_eq(str![[r#"
  images  correct     text   single rejected  source
       1  100.00%  100.00%  100.00%    0.00%  one
       1    0.00%    0.00%    0.00%    0.00%  two
       2   50.00%   50.00%   50.00%    0.00%  mean of 2 sources
       2   50.00%   50.00%   50.00%    0.00%  all

a.png: 7 read as nothing, as a single digit nothing

"#]]);
    // Large and small images are scaled to the same cell.
    for (name, side) in [("b.png", 900), ("c.png", 9)] {
        let blank = GrayImage::from_pixel(side, side, Luma([200]));
        fs::write(images.join(name), encoded(&blank.into(), ImageFormat::Png)).unwrap();
    }
    let labels = "b.png\t1|2\tone\nc.png\t3\tone\n";
    fs::write(images.join("labels.tsv"), labels).unwrap();
    let sheet = lenet(folder.path()).args(arguments).args(["--out", "sheet"]).assert().success();
    sheet.stdout_eq(str![[r#"
...
b.png: 1|2 read as nothing, as a single digit nothing
c.png: 3 read as nothing, as a single digit nothing

mistakes.png written to sheet

"#]]);
    let size = crate::png_size(&folder.path().join("sheet/mistakes.png"));
    assert_eq!(size, (2 * (140 + 14) - 14 + 2 * 28, 28 + 20 + 14 + 140 + 3 * 20 + 28));

    fs::write(images.join("labels.tsv"), "b.png\t1\tone\nc.png 3 one\n").unwrap();
    assert_eq!(
        crate::error(lenet(folder.path()).args(arguments)),
        "pictures/labels.tsv: line 2: expected file, label and source between tabs, found \"c.png 3 one\""
    );
    // Any other file of labels is one source. Files that are no images are counted.
    fs::write(images.join("cases.tsv"), "a.png\t-\nb.png\t3.1|4\tignored\ncases.tsv\tno image\n").unwrap();
    let one_source =
        lenet(folder.path()).args(["eval", "net.safetensors", "--pictures", "pictures/cases.tsv"]);
    one_source
        .assert()
        .success()
        .stderr_eq("left out: 1 of 3 files, no images of a known format\n")
        .stdout_eq(str![[r#"
  images  correct     text   single rejected  source
       2   50.00%   50.00%   50.00%    0.00%  cases
       2   50.00%   50.00%   50.00%    0.00%  all

b.png: 31|4 read as nothing, as a single digit nothing

"#]]);

    let unknown = lenet(folder.path()).args(arguments).args(["--skip-stage", "magic"]);
    let error = crate::error(unknown);
    assert!(
        error.starts_with("--skip-stage: unknown stage `magic`, expected one of paper, polarity, "),
        "{error}"
    );
}

#[test]
fn cells_are_printed_as_csv() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("table.png"), encoded(&table(), ImageFormat::Png)).unwrap();
    fs::write(folder.path().join("page.png"), encoded(&page(), ImageFormat::Png)).unwrap();
    let recognize = |arguments: &[&str]| recognize_by_default(folder.path(), arguments);
    assert_eq!(recognize(&["--cells", "table.png"]), ("7.2,10\n".into(), String::new(), Some(0)));
    let (stdout, stderr, code) = recognize(&["--cells", "page.png"]);
    let expected = "error: page.png: cells: expected a table with rules, found none\n";
    assert_eq!((stdout.as_str(), stderr.as_str(), code), ("", expected, Some(1)));
    let (json, ..) = recognize(&["--json", "table.png"]);
    let reading: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(reading["text"], "7.2 10");
    assert_eq!(
        (&reading["marks"][0]["mark"], &reading["marks"][0]["doubtful"]),
        (&".".into(), &false.into())
    );
    assert_eq!(reading["cells"][1]["text"], "10");
    assert_eq!((&reading["digits"][2]["row"], &reading["digits"][2]["column"]), (&0.into(), &1.into()));
    let (text, ..) = recognize(&["--digits-only", "table.png"]);
    assert!(text.starts_with("table.png: 7210 ("), "{text}");
}

/// Runs `lenet recognize` with the built-in network. Returns stdout, stderr and the exit status.
pub fn recognize_by_default(folder: &Path, arguments: &[&str]) -> (String, String, Option<i32>) {
    let output = lenet(folder).arg("recognize").args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.code())
}
