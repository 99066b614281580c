-- Haskell's websockets: its own echo, in both roles.
--
--     peers server PORT
--     peers client PORT
import Control.Exception (SomeException, catch)
import Control.Monad (forever)
import qualified Network.WebSockets as WS
import System.Environment (getArgs)

echo :: WS.Connection -> IO ()
echo connection = forever (WS.receiveDataMessage connection >>= WS.sendDataMessage connection) `catch` ended
  where
    ended :: SomeException -> IO ()
    ended _ = pure ()

main :: IO ()
main = do
  [role, port] <- getArgs
  if role == "server"
    then WS.runServer "127.0.0.1" (read port) (\pending -> WS.acceptRequest pending >>= echo)
    else WS.runClient "127.0.0.1" (read port) "/" echo `catch` failed
  where
    failed :: SomeException -> IO ()
    failed _ = pure ()
