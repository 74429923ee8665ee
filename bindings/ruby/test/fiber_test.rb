# frozen_string_literal: true

require "support"

# A queue under a Fiber scheduler: while one fiber waits for its queue, others run, all on one thread.
class FiberTest < LarderTest
  # The least that can be called a scheduler: fibers that wait for an IO, or for a time.
  class Scheduler
    def initialize
      @readers = {}
      @sleepers = {}
    end

    def run
      until @readers.empty? && @sleepers.empty?
        now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
        pause = @sleepers.values.min&.-(now)
        ready, = IO.select(@readers.values, nil, nil, pause&.clamp(0, nil))
        awake = @readers.select { |_, io| ready&.include?(io) }.keys + @sleepers.select { |_, at| at <= now }.keys
        awake.uniq.each { |fiber| [@readers, @sleepers].each { |all| all.delete(fiber) } }
        awake.uniq.each(&:resume)
      end
    end
    alias close run

    def io_wait(io, events, timeout)
      @readers[Fiber.current] = io
      kernel_sleep(timeout)
      IO.select([io], nil, nil, 0) ? events : false
    end

    def kernel_sleep(seconds = nil)
      @sleepers[Fiber.current] = Process.clock_gettime(Process::CLOCK_MONOTONIC) + seconds if seconds
      Fiber.yield
      true
    end

    def fiber(&block)
      Fiber.new(blocking: false, &block).tap(&:resume)
    end

    def block(*) = raise("nothing here blocks")
    def unblock(*) = nil
  end

  def test_fibers_wait_for_their_queues
    order = []
    store = context.store("redis")
    Thread.new do
      Fiber.set_scheduler(Scheduler.new)
      4.times do |f|
        Fiber.schedule do
          with_queue do |queue|
            50.times do |i|
              queue.submit([{ operation: :set, store: store, key: "f#{f}", tag: i, value: "f#{f}:#{i}" },
                            { operation: :get, store: store, key: "f#{f}", tag: 1000 + i }])
              events = collect(queue, 2)
              assert_equal "f#{f}:#{i}", events.find { |event| event.tag >= 1000 }.value
              order << f
            end
          end
        end
      end
    end.join
    assert_equal 200, order.size
    refute_equal order.sort, order, "the fibers ran one after the other"
  ensure
    store.close
  end
end
