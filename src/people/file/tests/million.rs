//! What a million people cost.

use super::*;

/// The peak of this process's memory, in MiB, where the system tells it.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024)
}

/// A table of a million people that is made while it is read, so that it takes no memory itself.
struct Million {
    row: u64,
    left: Vec<u8>,
    at: usize,
}

impl Read for Million {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.at == self.left.len() {
            self.left.clear();
            self.at = 0;
            for _ in 0..1000 {
                if self.row == 1_000_000 {
                    break;
                }
                let row = self.row;
                self.row += 1;
                let line = format!(
                    "person_{row};+7916{row:07};Анна;Иванова;Казань;\"клиент с {}\"\r\n",
                    2000 + row % 25
                );
                self.left.extend(line.bytes());
            }
        }
        let len = buffer.len().min(self.left.len() - self.at);
        buffer[..len].copy_from_slice(&self.left[self.at..self.at + len]);
        self.at += len;
        Ok(len)
    }
}

#[test]
#[ignore = "a measurement: run with --release -- --ignored --nocapture"]
fn a_million_people_cost_seconds_and_a_few_megabytes() {
    let header = "username;phone;first_name;last_name;город;заметка\r\n";
    let table = || Million {
        row: 0,
        left: header.as_bytes().to_vec(),
        at: 0,
    };
    let before = Instant::now();
    let bytes = std::io::copy(&mut table(), &mut std::io::sink()).unwrap();
    println!("{bytes} bytes are made in {:?}", before.elapsed());
    let memory = peak_memory();
    let before = Instant::now();
    let mut people = 0;
    let summary = read(
        table(),
        FileKind::Csv,
        &Columns::default(),
        "o",
        &mut |page| {
            people += page.len();
            ControlFlow::Continue(())
        },
    )
    .unwrap();
    let took = before.elapsed();
    println!(
        "1,000,000 people in {took:?}, peak memory {memory:?} MiB before, {:?} MiB after",
        peak_memory()
    );
    assert_eq!((people, summary.bad_count), (1_000_000, 0));
    if let (Some(before), Some(after)) = (memory, peak_memory()) {
        assert!(after - before <= 50, "{before} MiB, {after} MiB");
    }
    assert!(
        cfg!(debug_assertions) || took.as_secs_f64() <= 3.0,
        "{took:?}"
    );
}
